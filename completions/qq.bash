# Completion for qq, generated from the declarations of commands and flags by `make docs`; do not edit.

# Reads the line up to the cursor as the shell would: words are without their quotes, and cur is the last of them. head is the part of cur before $1:
# readline also cuts words at = and :, and replaces only $1. open is the quote around $1.
__qq_read() {
    local line=${COMP_LINE:0:COMP_POINT} at c next quote= word= started= i
    at=${line%"$1"}
    at=${#at}
    words=() head= open=
    for ((i = 0; i < ${#line}; i++)); do
        if ((i <= at)); then head=$word open=$quote; fi
        c=${line:i:1}
        case $quote$c in
        \'\' | \"\") quote= ;;
        \"\\)
            next=${line:++i:1}
            [[ $next == [\"\\\$\`] ]] || word+=\\
            word+=$next
            ;;
        \'? | \"?) word+=$c ;;
        \' | \") quote=$c started=1 ;;
        \\) word+=${line:++i:1} started=1 ;;
        [[:space:]])
            [[ -n $started ]] && words+=("$word")
            word= started=
            ;;
        *) word+=$c started=1 ;;
        esac
    done
    if ((i <= at)); then head=$word open=$quote; fi
    words+=("$word")
    cur=$word
}

# Sets quoted to $1 in the quotes that it needs where it is inserted, so that the shell reads it unchanged.
__qq_quote() {
    local c i
    quoted=
    if [[ -z $open ]]; then
        [[ -z $1 ]] || printf -v quoted %q "$1"
        return
    fi
    for ((i = 0; i < ${#1}; i++)); do
        c=${1:i:1}
        case $open$c in
        \'\') quoted+="'\\''" ;;
        \"[\"\\\$\`]) quoted+=\\$c ;;
        \"!) quoted+='"\!"' ;;
        *) quoted+=$c ;;
        esac
    done
    quoted+=$open
    # Readline takes a quote at the beginning for the one that is already there.
    if [[ $quoted == "$open"?* ]]; then quoted=$open$quoted; fi
}

# Offers the lines of stdin that start with $1. Readline itself quotes names of files.
__qq_offer() {
    local line quoted
    while IFS= read -r line; do
        [[ -n $line && $line == "$1"* && $before$line == "$head"* ]] || continue
        line=$before$line
        quoted=${line#"$head"}
        [[ -n $files ]] || __qq_quote "$quoted"
        COMPREPLY+=("$quoted")
    done
}

__qq_words() {
    local start=$1
    shift
    __qq_offer "$start" < <(printf '%s\n' "$@")
}

# A name that begins with - would be taken for a flag.
__qq_names() {
    local dashed=-
    [[ -z $before$wants$dashes ]] || dashed=
    __qq_offer "$2" < <(qq __complete "$1" ${server:+-s "$server"} -- "$2" 2>/dev/null </dev/null |
        while IFS= read -r name; do [[ -n $dashed && $name == -* ]] || printf '%s\n' "$name"; done)
}

__qq_paths() {
    local files=1
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

# Completes the value of flag $1, of which $2 has been typed.
__qq_value() {
    case $1 in
    --script | -f) __qq_paths -f "$2" ;;
    --server | -s) __qq_url "$2" ;;
    --context) __qq_names contexts "$2" ;;
    --cluster-config) __qq_paths -f "$2" ;;
    --creds) __qq_paths -f "$2" ;;
    --nkey) __qq_paths -f "$2" ;;
    --login-file) __qq_paths -f "$2" ;;
    --token-file) __qq_paths -f "$2" ;;
    --tls-ca) __qq_paths -f "$2" ;;
    --tls-cert) __qq_paths -f "$2" ;;
    --tls-key) __qq_paths -f "$2" ;;
    --kubeconfig) __qq_paths -f "$2" ;;
    --metrics-file) __qq_paths -f "$2" ;;
    --color) __qq_words "$2" auto always never ;;
    --notify) __qq_words "$2" qq command ;;
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

# Sets flags to the flags of command $1, and valued to the flags whose next word is a value.
__qq_command() {
    case $1 in
    '')
        flags='--script -f --keep-going --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h --version'
        valued='--script -f --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color'
        ;;
    acquire)
        flags='-- ''--wait --slots --priority --note --ttl --renew-every --min-hold --skip-ok --conflict-exit-code -E --require-token --kill-after --max-run --notify --on-elected --on-lost --on-change --hook-timeout --retries --backoff --backoff-factor --jitter --retry-on --format --listen --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--slots --priority --note --ttl --renew-every --min-hold --conflict-exit-code -E --kill-after --max-run --notify --on-elected --on-lost --on-change --hook-timeout --retries --backoff --backoff-factor --jitter --retry-on --format --listen --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color'
        ;;
    release)
        flags='--token --slots --cancel-wait --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--token --slots --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color'
        ;;
    keepalive)
        flags='--once --pid --until-eof --slots --vip --priority --note --ttl --renew-every --require-token --on-elected --on-lost --on-change --hook-timeout --retries --backoff --backoff-factor --jitter --retry-on --listen --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--pid --slots --vip --priority --note --ttl --renew-every --on-elected --on-lost --on-change --hook-timeout --retries --backoff --backoff-factor --jitter --retry-on --listen --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color'
        ;;
    status)
        flags='--all --slots --mine --held --contested --owner --match --expires-within --limit --offset --advice --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--slots --owner --match --expires-within --limit --offset --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color'
        ;;
    watch)
        flags='--until --slots --for --replay --exec --hook-timeout --record --speed --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--until --slots --for --replay --exec --hook-timeout --record --speed --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color'
        ;;
    step-down)
        flags='--node --slots --token --force --yes -y --wait --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--node --slots --token --wait --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color'
        ;;
    cluster-status)
        flags='--server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color'
        ;;
    context)
        flags='--replace --from --from-kubeconfig --effective --ttl --renew-every --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--from --ttl --renew-every --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color'
        ;;
    repl)
        flags='--script -f --keep-going --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --tls-first --follow-redirects --max-message --metrics-file --json --color --quiet -q --verbose -v --help -h'
        valued='--script -f --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color'
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
        flags='--json --help -h'
        valued=''
        ;;
    *) flags= valued= ;;
    esac
}

# Completes the command after the -- that is word $1. Its index in COMP_WORDS differs, because readline cuts words there.
__qq_trailing() {
    local i skipped=0
    for ((i = 0; i < $1; i++)); do [[ ${words[i]} != -- ]] || ((++skipped)); done
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} != -- ]] || ((skipped-- > 0)) || break
    done
    if declare -F _command_offset >/dev/null; then
        _command_offset $((i + 1))
    elif ((COMP_CWORD == i + 1)); then
        __qq_offer "$cur" < <(compgen -c -- "$cur" | sort -u)
    else
        __qq_paths -f "$cur"
    fi
}

_qq() {
    local cur head open flags valued files= command= server= before= wants= dashes= word letter i places=0
    local -a words
    local IFS=$' \t\n'
    COMPREPLY=()
    __qq_read "$2"
    __qq_command ''
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ -n $dashes ]]; then
            ((++places))
        elif [[ -n $wants ]]; then
            [[ $wants == -s || $wants == --server ]] && server=$word
            wants=
        elif [[ $word == -- ]]; then
            case $command in
            acquire)
                __qq_trailing "$i"
                return
                ;;
            esac
            dashes=1
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
            ((++places))
        fi
    done
    if [[ -n $wants ]]; then
        __qq_value "$wants" "$cur"
    elif [[ -z $dashes && $cur == --*=* ]]; then
        before=${cur%%=*}=
        __qq_value "${cur%%=*}" "${cur#*=}"
    elif [[ -z $dashes && $cur == -* ]]; then
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
        man) ((places == 0)) && __qq_words "$cur" qq qq-acquire qq-release qq-keepalive qq-status qq-watch qq-step-down qq-cluster-status qq-context qq-repl qq-json qq-metrics qq-quorum-quest qq-raftlock qq-nats qq-kubernetes qq-etcd qq-consul ;;
        help) ((places == 0)) && __qq_words "$cur" acquire release keepalive status watch step-down cluster-status context repl completions man help version ;;
        esac
    fi
}

complete -F _qq qq
