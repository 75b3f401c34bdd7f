# What runs on the real servers: nginx, dnsmasq, ends of tunnels. To be sourced by world.sh.
# shellcheck shell=bash

# nginx on each server, ports 80 and 8080: a page with the server's number, and the same megabyte of random bytes on all.
world_web() {
    local number folder
    head -c 1048576 /dev/urandom >"$WORLD/megabyte"
    for number in 1 2 3; do
        folder=$WORLD/server$number
        mkdir -p "$folder/pages" "$folder/logs"
        echo "server $number" >"$folder/pages/index.html"
        cp "$WORLD/megabyte" "$folder/pages/megabyte"
        cat >"$folder/nginx.conf" <<-END
			daemon off;
			user root;
			worker_processes 1;
			pid $folder/nginx.pid;
			error_log $folder/logs/error.log;
			events { worker_connections 1024; }
			http {
			    access_log off;
			    keepalive_timeout 0;
			    client_body_temp_path $folder/body;
			    client_max_body_size 64m;
			    proxy_temp_path $folder/proxy;
			    fastcgi_temp_path $folder/fastcgi;
			    uwsgi_temp_path $folder/uwsgi;
			    scgi_temp_path $folder/scgi;
			    server {
			        listen [::]:80 ipv6only=off;
			        listen [::]:8080 ipv6only=off;
			        root $folder/pages;
			        default_type text/plain;
			        location /upload { proxy_pass http://unix:$folder/upload.sock; }
			        location /port { return 200 "server $number port \$server_port\n"; }
			    }
			    server {
			        listen unix:$folder/upload.sock;
			        location / { return 200 "server $number\n"; }
			    }
			}
		END
        spawn "nginx$number" "server$number" nginx -p "$folder" -e "$folder/logs/error.log" \
            -c "$folder/nginx.conf"
        wait_for "nginx on server $number" inside "server$number" \
            curl -s -o "$WORLD/answer" "http://192.168.10.1$number/"
    done
}

# dnsmasq on each server, port 5353. The TXT record whoami.example.test names the server.
world_dns() {
    local number
    for number in 1 2 3; do
        spawn "dns$number" "server$number" dnsmasq --keep-in-foreground --conf-file=/dev/null \
            --user=root --pid-file= --no-resolv --no-hosts --port=5353 \
            --address=/www.example.test/$VIP_DR --txt-record="whoami.example.test,server $number"
        wait_for "dnsmasq on server $number" inside "server$number" \
            dig +short +time=1 +tries=1 -p 5353 @"192.168.10.1$number" whoami.example.test TXT
    done
}

# The receiving end of IPIP on each server: the kernel's if it has the module, else the lab's `decap`.
# shellcheck disable=SC2034 # scripts/demo prints TUNNEL_END
world_tunnel_ends() {
    local number place
    for number in 1 2 3; do
        place=server$number
        if inside "$place" ip link add tunnel0 type ipip \
            local "192.168.10.1$number" remote any 2>/dev/null; then
            TUNNEL_END="the kernel's ipip device"
        else
            spawn "decap$number" "$place" "$LAB/decap" --tun tunnel0
            wait_for "server $number's decapsulator" grep -q ready "$WORLD/decap$number.log"
            TUNNEL_END="the lab's decapsulator"
        fi
        settings "$place" net.ipv4.conf.tunnel0.rp_filter=0
        inside "$place" ip link set tunnel0 up
    done
}
