"""The part of nginx's configuration that serves protected indexes from disk, to those who may read them.

nginx asks devpi-server where the pages for a login are (mirror/plugin/pages/grant_view.py), and keeps the
answer, by index and login, for the minute that devpi-server names. Where nothing is found, whether for want
of a right, of a page, or of an answer, devpi-server gets the request itself, and decides.
"""

# In the http block. `cache` has logins as clients sent them: a folder in memory that nginx alone may enter.
HTTP = """
proxy_cache_path "@CACHE@" levels=1 keys_zone=packhorse_granted:1m max_size=16m inactive=60s
    use_temp_path=off;
map $http_authorization $packhorse_page_else { default @granted_page; "" @devpi; }
map $http_authorization $packhorse_metadata_else { default @granted_metadata; "" @devpi; }
map $http_authorization $packhorse_file_else { default @granted_file; "" @devpi; }
"""

_ASK = """
        limit_conn packhorse_clients @REQUESTS_PER_CLIENT@;
        limit_conn_status 429;
        auth_request /.granted;
        auth_request_set $packhorse_granted $upstream_http_x_packhorse_granted;
        error_page 429 = @busy;
        error_page 401 403 404 405 500 = @devpi;
        add_header X-Content-Type-Options nosniff always;"""

_FILE = """
        root "@PAGES@/granted/$packhorse_granted/open";
        types { }
        default_type application/octet-stream;
        add_header Cache-Control "private, max-age=365000000, immutable";"""

# In the server block. The public locations lead here with the address that they have looked for.
SERVER = f"""
    location @granted_page {{{_ASK}
        root "@PAGES@/granted/$packhorse_granted";
        types {{ application/vnd.pypi.simple.v1+json json; text/html html; }}
        charset utf-8;
        gzip_static always;
        gunzip on;
        log_not_found off;
        add_header Cache-Control "private, no-cache";
        add_header Content-Security-Policy "default-src 'none'";
        add_header Vary Accept;
    }}

    location @granted_metadata {{{_ASK}{_FILE}
        try_files $packhorse_disk/$packhorse_stage/metadata/$packhorse_wheel @devpi;
    }}

    location @granted_file {{{_ASK}{_FILE}
        try_files $packhorse_disk/$packhorse_stage/files/$packhorse_file @devpi;
    }}

    location = /.granted {{
        internal;
        proxy_pass http://packhorse_devpi/+granted/$packhorse_stage;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header Authorization $http_authorization;  # the one that the key has
        proxy_set_header X-Devpi-Auth "";
        proxy_set_header X-Outside-URL "";
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_connect_timeout 5s;
        proxy_cache packhorse_granted;
        proxy_ignore_headers Cache-Control;  # it says private; X-Accel-Expires counts
        proxy_cache_key "$packhorse_stage $http_authorization";
    }}

    location /+granted/ {{
        return 404;
    }}
"""
