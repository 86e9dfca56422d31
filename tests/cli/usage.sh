# Wrong usage: one line that says what, one hint, exit status 2.
try() { "$@" 2>&1; echo "exit $?"; }
try sooth asl
try sooth frobnicate
try sooth search --filtre x y
try sooth search "a" -k 0
try sooth search "a" -k two
try sooth search "a" --mode fast
try sooth search
try sooth run
try sooth bench smollm2 --repeat
try sooth run smollm2 a b
try sooth add
try sooth ask
try sooth ask "q" -k many
echo "mode == " > bad.conf; echo "nonsense" >> bad.conf
try sooth search a --config bad.conf
try sooth search a --config missing.conf
try sooth info no-such-model
try sooth search "q" --kb nowhere
