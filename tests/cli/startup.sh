# lesson_rag_39: one binary, only listed system libraries, and it runs with no network at all.
ldd "$(command -v sooth)" | grep -qE "lib(a|ub|t)san" && { echo "SKIP a sanitizer build links more than users get"; exit; }
ldd "$(readlink -f "$(command -v sooth)")" | awk '{print $1}' | sed 's/\.so.*//; s|.*/||' | grep -cvE '^(lib(c|m|gcc_s|icu.*|sqlite3|xml2|archive|curl.*|gumbo|cmark-gfm.*|z|lzma|bz2|zstd|lz4|acl|nettle|gnutls|hogweed|gmp|ssl|crypto|idn2|unistring|nghttp2|rtmp|ssh2|psl|gssapi_krb5|krb5.*|k5crypto|com_err|keyutils|resolv|ldap.*|lber.*|sasl2|brotli.*|p11-kit|tasn1|ffi|stdc\+\+|pthread|dl|seccomp|b2)|linux-vdso|ld-linux.*)(-[0-9.]+)?$'
if unshare -rn true 2>/dev/null; then unshare -rn sooth version; else sooth version; fi
