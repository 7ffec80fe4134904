#!/bin/sh
# stand_in.sh NAME: makes an image NAME that can take the place of a slim Debian Python, where no
# registry can be reached: Debian's own packages for this machine's release, nothing else. As root.
set -eu

name=$1
. /etc/os-release
# The mirror that this machine itself installs from.
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv \
  "$VERSION_CODENAME" "$dir/tree" "$mirror"
# The Dockerfile calls it by the name that Python's own images have.
ln -s python3 "$dir/tree/usr/bin/python"
rm -rf "$dir"/tree/var/cache/apt/* "$dir"/tree/var/lib/apt/lists/* "$dir"/tree/usr/share/doc/* \
  "$dir"/tree/usr/share/locale/* "$dir"/tree/usr/share/man/*
tar --create --file "$dir/root.tar" --directory "$dir/tree" --exclude ./dev --exclude ./proc --exclude ./sys .
podman import --change "ENV PATH=/usr/local/bin:/usr/bin:/bin" "$dir/root.tar" "$name"
