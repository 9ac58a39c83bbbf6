# Completion for qq, generated from the declarations of commands and flags by `make docs`; do not edit.

# Words as typed: readline splits them at = and :, which stand within flags and URLs.
__qq_split() {
    local i piece line=${COMP_LINE:0:COMP_POINT}
    words=() raw=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        piece=${COMP_WORDS[i]}
        if ((i > 1)) && [[ $line != [[:space:]]* && ($piece == [=:]* || ${COMP_WORDS[i - 1]} == *[=:]) ]]; then
            words[${#words[@]} - 1]+=$piece
        else
            words+=("$piece") raw+=("$i")
        fi
        line=${line#"${line%%[![:space:]]*}"}
        line=${line#"$piece"}
    done
    cur=${words[${#words[@]} - 1]#[\"\']}
}

# Offers those of the given lines that start with $1, without what readline counts as another word.
__qq_offer() {
    local start=$1 line last=${COMP_WORDS[COMP_CWORD]#[\"\']}
    local cut=${cur%"$last"}
    [[ $last == [=:] ]] && cut=$cur
    while IFS= read -r line; do
        [[ -n $line && $line == "$start"* ]] || continue
        line=$before$line
        COMPREPLY+=("${line#"$cut"}")
    done
}

__qq_words() {
    local start=$1
    shift
    __qq_offer "$start" < <(printf '%s\n' "$@")
}

__qq_names() {
    __qq_offer "$2" < <(qq __complete "$1" ${server:+-s "$server"} -- "$2" 2>/dev/null </dev/null)
}

__qq_paths() {
    compopt -o filenames 2>/dev/null
    __qq_offer "$2" < <(compgen "$1" -- "$2")
}

__qq_url() {
    if [[ $1 == file://* ]]; then
        compopt -o nospace 2>/dev/null
        __qq_offer "$1" < <(compgen -d -S / -- "${1#file://}" | sed 's|^|file://|')
    else
        compopt -o nospace 2>/dev/null
        __qq_words "$1" file:///
    fi
}

# The value of a flag: $1 the flag, $2 what is typed of it.
__qq_value() {
    case $1 in
    --script | -f) __qq_paths -f "$2" ;;
    --server | -s) __qq_url "$2" ;;
    --context) __qq_names contexts "$2" ;;
    --cluster-config) __qq_paths -f "$2" ;;
    --creds) __qq_paths -f "$2" ;;
    --nkey) __qq_paths -f "$2" ;;
    --tls-ca) __qq_paths -f "$2" ;;
    --tls-cert) __qq_paths -f "$2" ;;
    --tls-key) __qq_paths -f "$2" ;;
    --metrics-file) __qq_paths -f "$2" ;;
    --color) __qq_words "$2" auto always never ;;
    --on-elected) __qq_offer "$2" < <(compgen -c -- "$2" | sort -u) ;;
    --on-lost) __qq_offer "$2" < <(compgen -c -- "$2" | sort -u) ;;
    --on-change) __qq_offer "$2" < <(compgen -c -- "$2" | sort -u) ;;
    --retry-on) __qq_words "$2" not-leader no-leader unavailable timeout rate-limited replication-failure internal-error wait-queue-full lock-held ;;
    --format) __qq_words "$2" text shell json ;;
    --pid) __qq_offer "$2" < <(cd /proc && printf '%s\n' [0-9]*) ;;
    --until) __qq_words "$2" led free mine changed leader= ;;
    --replay) __qq_paths -f "$2" ;;
    --exec) __qq_offer "$2" < <(compgen -c -- "$2" | sort -u) ;;
    --record) __qq_paths -f "$2" ;;
    --from) __qq_paths -f "$2" ;;
    esac
}

# What a command knows: its flags, those whose next word is a value.
__qq_command() {
    case $1 in
    '')
        flags='--script -f --keep-going --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h --version'
        valued='--script -f --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --max-message --metrics-file --color'
        ;;
    acquire)
        flags='-- ''--wait --priority --ttl --renew-every --min-hold --skip-ok --conflict-exit-code -E --require-token --kill-after --on-elected --on-lost --on-change --hook-timeout --retries --backoff --backoff-factor --jitter --retry-on --format --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--priority --ttl --renew-every --min-hold --conflict-exit-code -E --kill-after --on-elected --on-lost --on-change --hook-timeout --retries --backoff --backoff-factor --jitter --retry-on --format --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --max-message --metrics-file --color'
        ;;
    release)
        flags='--token --cancel-wait --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--token --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --max-message --metrics-file --color'
        ;;
    keepalive)
        flags='--once --pid --vip --priority --ttl --renew-every --require-token --on-elected --on-lost --on-change --hook-timeout --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--pid --vip --priority --ttl --renew-every --on-elected --on-lost --on-change --hook-timeout --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --max-message --metrics-file --color'
        ;;
    status)
        flags='--all --mine --held --contested --owner --match --expires-within --limit --offset --advice --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--owner --match --expires-within --limit --offset --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --max-message --metrics-file --color'
        ;;
    watch)
        flags='--until --for --replay --exec --hook-timeout --record --speed --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--until --for --replay --exec --hook-timeout --record --speed --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --max-message --metrics-file --color'
        ;;
    step-down)
        flags='--node --token --force --yes -y --wait --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--node --token --wait --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --max-message --metrics-file --color'
        ;;
    cluster-status)
        flags='--server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --max-message --metrics-file --color'
        ;;
    context)
        flags='--replace --from --from-kubeconfig --effective --ttl --renew-every --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--from --ttl --renew-every --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --max-message --metrics-file --color'
        ;;
    repl)
        flags='--script -f --keep-going --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--script -f --server -s --context --cluster-config --id --timeout --creds --nkey --tls-ca --tls-cert --tls-key --tls-name --max-message --metrics-file --color'
        ;;
    completions)
        flags='--help -h'
        valued=''
        ;;
    man)
        flags='--help -h'
        valued=''
        ;;
    help)
        flags='--help -h'
        valued=''
        ;;
    version)
        flags='--help -h'
        valued=''
        ;;
    *) flags= valued= ;;
    esac
}

# The command after --: $1 is the place of its first word in COMP_WORDS.
__qq_trailing() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        __qq_offer "$cur" < <(compgen -c -- "$cur" | sort -u)
    else
        __qq_paths -f "$cur"
    fi
}

_qq() {
    local cur flags valued command= server= before= wants= word letter i places=0
    local -a words raw
    local IFS=$' \t\n'
    COMPREPLY=()
    __qq_split
    __qq_command ''
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ -n $wants ]]; then
            [[ $wants == -s || $wants == --server ]] && server=$word
            wants=
        elif [[ $word == -- ]]; then
            case $command in
            acquire) __qq_trailing $((raw[i] + 1)) && return ;;
            esac
        elif [[ $word == --server=* ]]; then
            server=${word#*=}
        elif [[ $word == --* ]]; then
            [[ " $valued " == *" $word "* ]] && wants=$word
        elif [[ $word == -?* ]]; then
            word=${word#-}
            while [[ -n $word ]]; do
                letter=-${word:0:1} word=${word:1}
                [[ " $valued " == *" $letter "* ]] || continue
                if [[ -z $word ]]; then
                    wants=$letter
                elif [[ $letter == -s ]]; then
                    server=$word
                fi
                break
            done
        elif [[ -z $command ]]; then
            command=$word
            __qq_command "$command"
        else
            ((places++))
        fi
    done
    if [[ -n $wants ]]; then
        __qq_value "$wants" "$cur"
    elif [[ $cur == --*=* ]]; then
        before=${cur%%=*}=
        __qq_value "${cur%%=*}" "${cur#*=}"
    elif [[ $cur == -* ]]; then
        __qq_words "$cur" $flags
    else
        case $command in
        '') __qq_words "$cur" acquire release keepalive status watch step-down cluster-status context repl completions man help version ;;
        acquire) ((places == 0)) && __qq_names elections "$cur" ;;
        release) ((places == 0)) && __qq_names grants "$cur" ;;
        keepalive) __qq_names elections "$cur" ;;
        status) __qq_names elections "$cur" ;;
        watch) __qq_names elections "$cur" ;;
        step-down) ((places == 0)) && __qq_names elections "$cur" ;;
        context) ((places == 0)) && __qq_words "$cur" add list use show remove rename test; ((places == 1)) && __qq_names contexts "$cur" ;;
        completions) ((places == 0)) && __qq_words "$cur" bash zsh fish ;;
        man) ((places == 0)) && __qq_words "$cur" qq qq-acquire qq-release qq-keepalive qq-status qq-watch qq-step-down qq-cluster-status qq-context qq-repl qq-json qq-quorum-quest qq-raftlock qq-nats ;;
        help) ((places == 0)) && __qq_words "$cur" acquire release keepalive status watch step-down cluster-status context repl completions man help version ;;
        esac
    fi
}

complete -F _qq qq
