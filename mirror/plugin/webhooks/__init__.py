"""Webhooks: signed JSON about uploads, promotions and blocked files, kept on disk until it is delivered."""
