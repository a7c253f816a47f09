"""Ask other programs of a host about an application: systemd's calendar, certificates, exporters."""
