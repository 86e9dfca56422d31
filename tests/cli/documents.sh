# The commands at the end of docs/book/documents.md.
sed -n '/^```sh$/,/^```$/p' "$SOOTH_SOURCE/docs/book/documents.md" | grep -v '^```' > commands.sh
[ "$(wc -l < commands.sh)" -ge 8 ] || echo "no commands in the chapter"
export TZ=UTC
. ./commands.sh 2>/dev/null | sed -e "s|$PWD/||g" -e 's/ in [0-9.]* s$/ in T/' -e 's/embedded in .*/embedded/' -e 's/^\([0-9]*\)  [0-9.-]*  /\1  /'
