#!/bin/sh
# Serves the cluster repository: makes it when it is not there, makes nginx's files of users from the Secret, and starts fcgiwrap and nginx.
# $DATA: volume; $SECRET: folder with `credentials` and, if wanted, `readers`, each of lines user:token; $RUN: folder to write to;
# $CONF: nginx.conf; $BACKEND: port of fcgiwrap.
set -eu
umask 077

repository=$DATA/cluster.git
if [ ! -e "$repository/HEAD" ]; then
  rm -rf "$repository.new"
  git init --quiet --bare --initial-branch=main "$repository.new"
  mv "$repository.new" "$repository"
fi
git -C "$repository" config http.receivepack true
# What is pushed is looked through before a branch moves to it.
git -C "$repository" config transfer.fsckObjects true

# user:token as nginx compares it: tokens are hashed, which also lets them hold a colon.
users() {
  perl -ne '
    chomp;
    next if $_ eq "";
    my ($user, $token) = split /:/, $_, 2;
    die "a line of the Secret with users is not user:token\n" unless length $user and length $token;
    my @letters = (".", "/", 0 .. 9, "A" .. "Z", "a" .. "z");
    my $salt = join "", map { $letters[rand 64] } 1 .. 16;
    print "$user:", crypt($token, "\$5\$rounds=1000\$$salt\$"), "\n";
  '
}
mkdir -p "$RUN"
users <"$SECRET/credentials" >"$RUN/writers"
cp "$RUN/writers" "$RUN/readers"
if [ -e "$SECRET/readers" ]; then users <"$SECRET/readers" >>"$RUN/readers"; fi

fcgiwrap -c 4 -s "tcp:127.0.0.1:$BACKEND" &
exec nginx -e stderr -c "$CONF" -g 'daemon off;'
