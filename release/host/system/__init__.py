"""What other programs of a host say about an application: systemd's calendar, certificates, exporters."""
