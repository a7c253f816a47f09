"""The formats that travel inside an artifact: manifest, lock, Procfile."""
