#!/bin/sh
# In a lab PC: a stand-in for NVIDIA's package repository, https://nvidia.test:8443, signed by keys made here. Prints the fingerprint of
# the one that signs. What it carries is a stand-in too: nvidia-ctk that writes what it was asked for, and a `bash` that nobody wants.
#
#   toolkit_repository.sh right | foreign | two
#
# right: gpgkey is the key that signs; foreign: gpgkey is another key than the one that signs; two: gpgkey holds both.
set -eu
ROOT=/srv/toolkit
export GNUPGHOME=/root/toolkit-keys LC_ALL=C

package() { # NAME VERSION FOLDER
    mkdir -p "$3/DEBIAN"
    printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: lab <lab@example.org>\nDescription: stand-in\n' "$1" "$2" >"$3/DEBIAN/control"
    dpkg-deb --build --root-owner-group "$3" "$POOL/$1_$2_amd64.deb" >/dev/null
}

key() { # NAME
    gpg --list-keys "$1" >/dev/null 2>&1 || gpg --batch --quiet --passphrase '' --quick-generate-key "$1 <$1@example.org>" rsa3072 sign never
    gpg --list-keys --with-colons "$1" | sed -n 's/^fpr:*\([0-9A-F]*\):$/\1/p' | head -n 1
}

mkdir -p "$GNUPGHOME" && chmod 700 "$GNUPGHOME"
signer=$(key signer)
other=$(key other)
POOL=$ROOT/stable/deb/amd64
rm -rf "$ROOT" && mkdir -p "$POOL" "$ROOT/build/toolkit/usr/bin"
cat >"$ROOT/build/toolkit/usr/bin/nvidia-ctk" <<'CTK'
#!/bin/sh
case "$1 $2" in
"cdi generate") for word; do case $word in --mode=*) mode=${word#*=} ;; --output=*) file=${word#*=} ;; esac done; echo "stand-in, mode $mode" >"$file" ;;
"cdi list") [ ! -s /etc/cdi/nvidia.yaml ] || printf 'nvidia.com/gpu=0\nnvidia.com/gpu=all\n' ;;
*) exit 2 ;;
esac
CTK
chmod 755 "$ROOT/build/toolkit/usr/bin/nvidia-ctk"
package nvidia-container-toolkit-base 1.20.0-1 "$ROOT/build/toolkit"
package nvidia-container-toolkit-base 1.21.0-1 "$ROOT/build/toolkit"
package bash 99 "$ROOT/build/bash"
(
    cd "$POOL"
    for file in *.deb; do
        dpkg-deb --field "$file"
        printf 'Filename: %s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat -c %s "$file")" "$(sha256sum "$file" | cut -d ' ' -f 1)"
    done >Packages
    printf 'Origin: lab\nDate: %s\nSHA256:\n %s %s Packages\n' "$(date -Ru)" "$(sha256sum Packages | cut -d ' ' -f 1)" "$(stat -c %s Packages)" >Release
    gpg --batch --quiet --yes --local-user "$signer" --clearsign --output InRelease Release
)
case $1 in
right) gpg --armor --export "$signer" >"$ROOT/gpgkey" ;;
foreign) gpg --armor --export "$other" >"$ROOT/gpgkey" ;;
two) gpg --armor --export "$signer" "$other" >"$ROOT/gpgkey" ;;
esac
grep -q nvidia.test /etc/hosts || echo '127.0.0.1 nvidia.test' >>/etc/hosts
if ! [ -e /root/server.pem ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=nvidia.test -addext subjectAltName=DNS:nvidia.test \
        -addext basicConstraints=critical,CA:TRUE -keyout /root/server.key -out /root/server.crt 2>/dev/null
    cat /root/server.key /root/server.crt >/root/server.pem
    cp /root/server.crt /usr/local/share/ca-certificates/toolkit.crt
    update-ca-certificates >/dev/null 2>&1
    systemd-run --quiet --unit toolkit-repository python3 -c '
import http.server, os, ssl
class Handler(http.server.SimpleHTTPRequestHandler):
    def translate_path(self, path): return "/srv/toolkit" + path
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/root/server.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()'
fi
curl -fsS --retry 20 --retry-connrefused --retry-delay 1 https://nvidia.test:8443/gpgkey >/dev/null
echo "$signer"
