#!/bin/sh
# Writes all branches and tags of the cluster repository into one file, reads it back, and keeps the newest $KEEP of them.
# $DATA: volume of the repository; $BACKUP: where the files go. Restored by: git clone --mirror FILE cluster.git
set -eu
umask 077

repository=$DATA/cluster.git
if [ -z "$(git -C "$repository" for-each-ref --count=1)" ]; then
  echo "the repository is empty: nothing to keep"
  exit 0
fi
file=$BACKUP/cluster-$(date -u +%Y%m%dT%H%M%SZ).bundle
rm -f "$BACKUP"/*.part
git -C "$repository" bundle create --quiet "$file.part" --all
git -C "$repository" bundle verify --quiet "$file.part"
mv "$file.part" "$file"
# Names sort by time.
ls -1 "$BACKUP"/cluster-*.bundle | head -n "-$KEEP" | while read -r old; do rm -f "$old"; done
echo "$file: $(git bundle list-heads "$file" | wc -l) refs, $(wc -c <"$file") bytes"
