#!/usr/bin/env bash
# Gives the module an address, so that `go install ADDRESS/cmd/barka@latest` works:
#
#   release/module.sh github.com/org/barka
#
# It changes go.mod, every import and what names packages in tests; it changes nothing twice.
set -euo pipefail
cd "$(dirname "$0")/.."
new=${1:?usage: release/module.sh ADDRESS}
old=$(awk '$1 == "module" {print $2}' go.mod)
if ! [[ $new =~ ^[a-z0-9.-]+\.[a-z]+/[A-Za-z0-9._/-]+$ ]]; then
  echo "$new is no module path; expected one such as github.com/org/barka" >&2
  exit 2
fi
[ "$new" = "$old" ] && { echo "the module is $new already"; exit 0; }
go mod edit -module "$new"
quote=$(printf %s "$old" | sed 's/[.[\*^$/]/\\&/g')
git ls-files -z '*.go' | xargs -0 sed -i -E \
  -e "s#\"$quote/(internal|cmd|reference|release)#\"$new/\1#g" \
  -e "s#^const module = \"$quote\"\$#const module = \"$new\"#"
gofmt -w $(git ls-files '*.go')
go build ./...
echo "the module is $new: go test ./... , commit, tag, and then: go install $new/cmd/barka@latest"
