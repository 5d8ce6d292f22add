#!/bin/sh
# Makes the topic of events, and brings users and their rights to what is asked for: nobody else can log in, and nobody may do
# anything else. Whoever runs it is a node. Doing it twice is like doing it once.
#
# USERS are names, with a folder in USERS_DIR that has the password of each; RIGHTS are lines of user, kind of resource, its
# name and operation. What is too much goes last, so that nobody who may stay is shut out meanwhile, and logins go before
# rights.
set -eu
umask 0077
bin=${KAFKA_BIN:-/opt/kafka/bin}
work=${WORK_DIR:-/tmp/payplane}
mkdir -p "$work"
cat "$TLS_DIR/tls.key" "$TLS_DIR/tls.crt" >"$work/node.pem"
cat >"$work/node.properties" <<PROPERTIES
security.protocol=SSL
ssl.keystore.type=PEM
ssl.keystore.location=$work/node.pem
ssl.truststore.type=PEM
ssl.truststore.location=$TLS_DIR/ca.crt
PROPERTIES

# Leaves what the program told in $work/told.
ask() { # PROGRAM ARGUMENT...
    program=$1
    shift
    "$bin/$program" --bootstrap-server "$SERVERS" --command-config "$work/node.properties" "$@" \
        </dev/null >"$work/told" 2>&1 || { grep -m 3 -E 'Error|Exception' "$work/told" >&2; return 1; }
}

# Lines as in RIGHTS, of what is there and of what is wanted.
there() {
    ask kafka-acls.sh --list
    sed -n -e 's/.*resourceType=\([A-Z_]*\), name=\(.*\), patternType.*/\1 \2/;t resource' \
        -e 's/.*principal=User:\(.*\), host=.*, operation=\([A-Z_]*\),.*/\1 \2/p;d' -e ': resource' -e 's/^/ /p' "$work/told" |
        awk '/^ / { kind = $1; name = $2; next } { print $1, kind, name, $2 }' | sort >"$work/there"
}

# Adds or removes lines, those of one user and resource at once.
change() { # LINES OPTION...
    # The program lists DESCRIBE_CONFIGS and takes DescribeConfigs, in any case of its letters.
    awk '{ gsub("_", "", $4); of = $1 " " tolower($2) " " $3; all[of] = all[of] " --operation " $4 }
        END { for (of in all) print of all[of] }' "$1" >"$work/changes"
    while read -r user kind name operations; do
        # shellcheck disable=SC2086  # lists of options
        ask kafka-acls.sh $2 --allow-principal "User:$user" "--$kind" "$name" $operations
    done <"$work/changes"
}

ask kafka-topics.sh --create --if-not-exists --topic "$TOPIC" --partitions "$PARTITIONS"

for user in $USERS; do
    # In a file: a command line is for everybody to read.
    echo "SCRAM-SHA-512=password=$(cat "$USERS_DIR/$user/password")" >"$work/login"
    ask kafka-configs.sh --alter --entity-type users --entity-name "$user" --add-config-file "$work/login"
done
rm -f "$work/login"

printf '%s\n' "$RIGHTS" | sort >"$work/wanted"
there
comm -13 "$work/there" "$work/wanted" >"$work/missing"
change "$work/missing" --add

ask kafka-configs.sh --describe --entity-type users
sed -n "s/.*user-principal '\(.*\)' are .*/\1/p" "$work/told" >"$work/logins"
while read -r user; do
    case " $USERS " in
    *" $user "*) ;;
    *) ask kafka-configs.sh --alter --entity-type users --entity-name "$user" --delete-config SCRAM-SHA-512 ;;
    esac
done <"$work/logins"
comm -23 "$work/there" "$work/wanted" >"$work/surplus"
change "$work/surplus" '--remove --force'
