# Every verb explains itself; the overview names each; a manual page has the same options.
sooth help > overview
sooth list verb --json | sed 's/.*"name":"\([a-z]*\)".*/\1/' > verbs
while read -r v; do
    grep -q "^  $v " overview || echo "overview lacks $v"
    sooth "$v" -h > h || echo "$v -h fails"
    head -n 1 h | grep -q "^usage: sooth $v" || echo "$v: no usage line"
    sooth help --man "$v" > m
    grep -o -- '--[a-z0-9-]*' h | sort -u > ho
    sed 's/\\-/-/g' m | grep -o -- '--[a-z0-9-]*' | sort -u > mo
    comm -23 ho mo | sed "s/^/$v: manual lacks /"
done < verbs
wc -l < verbs
sooth version
sooth help --completion | bash -n && echo completion parses
