#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by scripts/demo and scripts/test: what limpet needs from Debian 12, and how to get it
# without any of the packages' services being started.

BUILD_PACKAGES="gcc g++ make autoconf automake pkg-config liburing-dev libxxhash-dev libsnappy-dev libzstd-dev
 libyaml-dev libyajl-dev zlib1g-dev libre2-dev libwolfssl-dev libmicrohttpd-dev libprotobuf-c-dev
 protobuf-c-compiler"
DEMO_PACKAGES="prometheus prometheus-node-exporter curl"
TEST_PACKAGES="clang libclang-rt-14-dev libcmocka-dev git xz-utils python3 python3-pytest python3-snappy
 python3-prometheus-client python3-yaml victoria-metrics nginx-light openssl iproute2 procps util-linux"

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "need root or sudo to install packages: $*" >&2
        return 1
    fi
}

missing_packages() {
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            echo "$package"
    done
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 \
        -o Acquire::Retries=3 "$@"
}

# A mirror may be out of reach for a moment, and whoever else installs something has the lists.
get_packages() {
    for pause in 10 30 60 0; do
        apt_get update && apt_get install -y --no-install-recommends "$@" >/dev/null && return 0
        echo "the packages cannot be installed yet" >&2
        sleep "$pause"
    done
    return 1
}

# Debian starts a service as soon as its package is installed, unless policy-rc.d says no. Ours is
# there only while apt runs, and only if the machine has none of its own.
install_packages() {
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    echo "installing:" $missing
    policy=/usr/sbin/policy-rc.d
    own_policy=no
    if [ ! -e "$policy" ]; then
        own_policy=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    status=0
    get_packages $missing || status=$?
    [ "$own_policy" = no ] || as_root rm -f "$policy"
    return "$status"
}
