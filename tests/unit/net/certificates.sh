#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes the certificates of the TLS tests in the directory $1: NAME.pem and NAME.key.
set -e
cd "$1"
exec >log 2>&1

cat >ca.conf <<CONF
[ca]
default_ca = made
[made]
new_certs_dir = .
database = index
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
CONF
: >index

new_key() { # NAME
    if [ "$1" = rsa ]; then
        openssl genrsa -out "$1.key" 2048
    else
        openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
    fi
}

authority() { # NAME
    new_key "$1"
    openssl req -config ca.conf -x509 -new -key "$1.key" -subj "/CN=$1" -days 30 \
        -extensions authority -out "$1.pem"
}

# NAME SUBJECT ISSUER START END [subjectAltName] [extensions section]
signed() {
    new_key "$1"
    openssl req -config ca.conf -new -key "$1.key" -subj "/CN=$2" \
        ${6:+-addext "subjectAltName = $6"} -out "$1.csr"
    openssl ca -config ca.conf -batch -notext -in "$1.csr" -cert "$3.pem" -keyfile "$3.key" \
        -startdate "$4" -enddate "$5" ${7:+-extensions "$7"} -out "$1.pem"
}

start=$(date -u -d '-1 hour' +%Y%m%d%H%M%SZ)
end=$(date -u -d '+10 days' +%Y%m%d%H%M%SZ)
here="DNS:localhost,DNS:*.example.test,IP:127.0.0.1,IP:::1"

authority ca
authority other
signed server server ca "$start" "$end" "$here"
signed rsa rsa ca "$start" "$end" "$here"
signed expired expired ca 20200101000000Z 20210203040506Z "$here"
signed early early ca 20490101000000Z 20510203040506Z "$here"
signed elsewhere elsewhere ca "$start" "$end" "DNS:elsewhere.test,DNS:*.elsewhere.test,IP:192.0.2.1"
signed nameless localhost ca "$start" "$end"
signed stranger stranger other "$start" "$end" "$here"
signed middle middle ca "$start" "$end" "" authority
signed below below middle "$start" "$end" "$here"
cat below.pem middle.pem >chain.pem
cp below.key chain.key
signed spiffe workload ca "$start" "$end" "URI:spiffe://cluster.local/ns/default/sa/web"
signed client client ca "$start" "$end"
signed wrongclient wrongclient other "$start" "$end"

new_key selfsigned
openssl req -config ca.conf -x509 -new -key selfsigned.key -subj /CN=selfsigned -days 30 \
    -addext "subjectAltName = $here" -addext "basicConstraints = critical,CA:FALSE" \
    -out selfsigned.pem
