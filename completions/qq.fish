# Completion for qq, generated from the declarations of commands and flags by `make docs`; do not edit.

# Reads the line up to the word that is being typed: the command, the number of its words, the server, the position of --.
function __qq_read
    set -g __qq_command
    set -g __qq_places 0
    set -g __qq_server
    set -g __qq_dashes 0
    set -l valued --script -f --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color
    set -l wants
    set -l tokens (commandline -opc)
    for place in (seq 2 (count $tokens))
        set -l word $tokens[$place]
        if test $__qq_dashes -gt 0
            set -g __qq_places (math $__qq_places + 1)
        else if test -n "$wants"
            contains -- $wants -s --server; and set -g __qq_server $word
            set wants
        else if test "$word" = --
            set -g __qq_dashes $place
        else if string match -q -- '--server=*' $word
            set -g __qq_server (string replace -- --server= '' $word)
        else if string match -q -- '--*' $word
            contains -- $word $valued; and set wants $word
        else if string match -q -- '-?*' $word
            set -l letters (string split '' -- (string sub -s 2 -- $word))
            for i in (seq (count $letters))
                contains -- -$letters[$i] $valued; or continue
                if test $i -eq (count $letters)
                    set wants -$letters[$i]
                else if test $letters[$i] = s
                    set -g __qq_server (string sub -s (math $i + 2) -- $word)
                end
                break
            end
        else if test -z "$__qq_command"
            set -g __qq_command $word
            switch $word
            case acquire
                set valued --slots --priority --note --ttl --renew-every --min-hold --conflict-exit-code -E --kill-after --max-run --notify --on-elected --on-lost --on-change --hook-timeout --retries --backoff --backoff-factor --jitter --retry-on --format --listen --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color
            case release
                set valued --token --slots --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color
            case keepalive
                set valued --pid --slots --vip --priority --note --ttl --renew-every --on-elected --on-lost --on-change --hook-timeout --retries --backoff --backoff-factor --jitter --retry-on --listen --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color
            case status
                set valued --slots --owner --match --expires-within --limit --offset --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color
            case watch
                set valued --until --slots --for --replay --exec --hook-timeout --record --speed --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color
            case step-down
                set valued --node --slots --token --wait --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color
            case cluster-status
                set valued --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color
            case context
                set valued --from --ttl --renew-every --retries --backoff --backoff-factor --jitter --retry-on --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color
            case repl
                set valued --script -f --server -s --context --cluster-config --id --timeout --creds --nkey --login-file --token-file --tls-ca --tls-cert --tls-key --tls-name --kubeconfig --max-message --metrics-file --color
            case completions
                set valued 
            case man
                set valued 
            case help
                set valued 
            case version
                set valued 
            end
        else
            set -g __qq_places (math $__qq_places + 1)
        end
    end
end

# Whether the cursor is before the command's name.
function __qq_bare
    __qq_read
    test -z "$__qq_command"
end

# Whether the cursor is in a command, before its --.
function __qq_in
    __qq_read
    test "$__qq_command" = "$argv[1]" -a $__qq_dashes -eq 0
end

# Whether the cursor is at an argument of a command: the first is 0, and many includes all from there.
function __qq_at
    __qq_read
    test "$__qq_command" = "$argv[1]"; or return
    if contains -- $argv[1] acquire
        test $__qq_dashes -eq 0; or return
    end
    test $__qq_places -eq $argv[2]; or test "$argv[3]" = many -a $__qq_places -ge $argv[2]
end

# Whether the cursor is in the command after --.
function __qq_trailing
    __qq_read
    test "$__qq_command" = "$argv[1]" -a $__qq_dashes -gt 0
end

# fish itself selects the names that match the typed word, and quotes the name that it inserts. A name that begins with - would be taken for a flag.
function __qq_names
    __qq_read
    set -l at
    test -n "$__qq_server"; and set at -s $__qq_server
    set -l names (qq __complete $argv[1] $at -- '' 2>/dev/null </dev/null)
    # fish does not quote a ~ at the beginning of a name, except within quotes.
    string match -q -r '^[\'"]' -- (commandline -ct); or set names (string match -v -- '~*' $names)
    if test $__qq_dashes -eq 0
        string match -v -- '-*' $names
    else
        string match -- '*' $names
    end
end

function __qq_url
    set -l typed (commandline -ct | string replace -r -- '^(--server=|-s)' '')
    if string match -q -- 'file://*' $typed
        for folder in (__fish_complete_directories (string replace -- file:// '' $typed) '')
            echo file://$folder
        end
    else
        echo file:///
    end
end

function __qq_trailing_candidates
    __qq_read
    set -l tokens (commandline -opc)
    set -l words (string escape -- $tokens[(math $__qq_dashes + 1)..-1])
    complete -C (string join ' ' -- $words (commandline -ct))
end

complete -c qq -f
complete -c qq -n __qq_bare -l script -s f -r -F -d 'Run the lines of FILE'
complete -c qq -n __qq_bare -l keep-going -d 'Continue after a line that fails'
complete -c qq -n __qq_bare -l server -s s -x -a '(__qq_url)' -d 'Where the election lives'
complete -c qq -n __qq_bare -l context -x -a '(__qq_names contexts)' -d 'The context to use'
complete -c qq -n __qq_bare -l cluster-config -r -F -d 'A cluster.json of the Go library'
complete -c qq -n __qq_bare -l id -x -d 'The identity to use'
complete -c qq -n __qq_bare -l timeout -x -d 'Limit for one request'
complete -c qq -n __qq_bare -l creds -r -F -d 'Log in with a .creds file'
complete -c qq -n __qq_bare -l nkey -r -F -d 'Log in with an NKey seed'
complete -c qq -n __qq_bare -l login-file -r -F -d 'etcd: the file with USER:PASSWORD'
complete -c qq -n __qq_bare -l token-file -r -F -d 'Consul: the file with the token'
complete -c qq -n __qq_bare -l tls-ca -r -F -d 'Authorities to trust, PEM'
complete -c qq -n __qq_bare -l tls-cert -r -F -d 'Client certificate, PEM'
complete -c qq -n __qq_bare -l tls-key -r -F -d 'Key of the client certificate, PEM'
complete -c qq -n __qq_bare -l tls-name -x -d 'Name in the server'"'"'s certificate'
complete -c qq -n __qq_bare -l kubeconfig -r -F -d 'Kubernetes: the kubeconfig'
complete -c qq -n __qq_bare -l tls-first -d 'NATS: TLS before anything else'
complete -c qq -n __qq_bare -l follow-redirects -d 'RaftLock: trust the leader'"'"'s address'
complete -c qq -n __qq_bare -l max-message -x -d 'gRPC: largest message, in MiB'
complete -c qq -n __qq_bare -l metrics-file -r -F -d 'Keep metrics in FILE'
complete -c qq -n __qq_bare -l json -d 'Print JSON'
complete -c qq -n __qq_bare -l color -x -a 'auto always never' -d 'Colour: auto, always or never'
complete -c qq -n __qq_bare -l quiet -s q -d 'Print only errors on stderr'
complete -c qq -n __qq_bare -l verbose -s v -d 'Report each step on stderr'
complete -c qq -n __qq_bare -l help -s h -d 'This help; --help prints more'
complete -c qq -n __qq_bare -l version -d 'Print the version'
complete -c qq -n __qq_bare -a acquire -d 'Acquire a lease, and run a command only while holding it'
complete -c qq -n __qq_bare -a release -d 'Release a lease acquired earlier'
complete -c qq -n __qq_bare -a keepalive -d 'Hold elections until told to stop'
complete -c qq -n __qq_bare -a status -d 'Show who leads, since when and for how much longer'
complete -c qq -n __qq_bare -a watch -d 'Report each change of leadership as it happens'
complete -c qq -n __qq_bare -a step-down -d 'Make the current leader step down'
complete -c qq -n __qq_bare -a cluster-status -d 'Show the state of the coordination system itself'
complete -c qq -n __qq_bare -a context -d 'Name servers with their settings, and choose one'
complete -c qq -n __qq_bare -a repl -d 'Open a session, or run a script of commands'
complete -c qq -n __qq_bare -a completions -d 'Print the completion script of a shell'
complete -c qq -n __qq_bare -a man -d 'Show a manual page'
complete -c qq -n __qq_bare -a help -d 'Help on qq or on a command'
complete -c qq -n __qq_bare -a version -d 'Print the version'
complete -c qq -n '__qq_in acquire' -l wait -d 'Wait for the turn'
complete -c qq -n '__qq_in acquire' -l slots -x -d 'Let at most N holders work at a time'
complete -c qq -n '__qq_in acquire' -l priority -x -d 'RaftLock: priority in the queue'
complete -c qq -n '__qq_in acquire' -l note -x -d 'Text to show beside the leader'
complete -c qq -n '__qq_in acquire' -l ttl -x -d 'How long a lease lasts'
complete -c qq -n '__qq_in acquire' -l renew-every -x -d 'Interval between renewals'
complete -c qq -n '__qq_in acquire' -l min-hold -x -d 'Keep the lease for at least this long'
complete -c qq -n '__qq_in acquire' -l skip-ok -d 'Exit 0 if another contender leads'
complete -c qq -n '__qq_in acquire' -l conflict-exit-code -s E -x -d 'Exit code if another leads'
complete -c qq -n '__qq_in acquire' -l require-token -d 'Refuse systems without fencing tokens'
complete -c qq -n '__qq_in acquire' -l kill-after -x -d 'SIGTERM to SIGKILL'
complete -c qq -n '__qq_in acquire' -l max-run -x -d 'End the command after this time'
complete -c qq -n '__qq_in acquire' -l notify -x -a 'qq command' -d 'Who reports to systemd'
complete -c qq -n '__qq_in acquire' -l on-elected -x -a '(__fish_complete_command)' -d 'Run CMD when elected'
complete -c qq -n '__qq_in acquire' -l on-lost -x -a '(__fish_complete_command)' -d 'Run CMD when leadership ends'
complete -c qq -n '__qq_in acquire' -l on-change -x -a '(__fish_complete_command)' -d 'Run CMD when the leader changes'
complete -c qq -n '__qq_in acquire' -l hook-timeout -x -d 'Limit for one hook'
complete -c qq -n '__qq_in acquire' -l retries -x -d 'Retries after a transient failure'
complete -c qq -n '__qq_in acquire' -l backoff -x -d 'First and longest pause'
complete -c qq -n '__qq_in acquire' -l backoff-factor -x -d 'How much longer each pause is'
complete -c qq -n '__qq_in acquire' -l jitter -x -d 'How much pauses vary, 0 to 1'
complete -c qq -n '__qq_in acquire' -l retry-on -x -a 'not-leader no-leader unavailable timeout rate-limited replication-failure internal-error wait-queue-full lock-held' -d 'RaftLock: which failures to retry'
complete -c qq -n '__qq_in acquire' -l format -x -a 'text shell json' -d 'Print text, shell or json'
complete -c qq -n '__qq_in acquire' -l listen -x -d 'Answer health checks over HTTP'
complete -c qq -n '__qq_in acquire' -l server -s s -x -a '(__qq_url)' -d 'Where the election lives'
complete -c qq -n '__qq_in acquire' -l context -x -a '(__qq_names contexts)' -d 'The context to use'
complete -c qq -n '__qq_in acquire' -l cluster-config -r -F -d 'A cluster.json of the Go library'
complete -c qq -n '__qq_in acquire' -l id -x -d 'The identity to use'
complete -c qq -n '__qq_in acquire' -l timeout -x -d 'Limit for one request'
complete -c qq -n '__qq_in acquire' -l creds -r -F -d 'Log in with a .creds file'
complete -c qq -n '__qq_in acquire' -l nkey -r -F -d 'Log in with an NKey seed'
complete -c qq -n '__qq_in acquire' -l login-file -r -F -d 'etcd: the file with USER:PASSWORD'
complete -c qq -n '__qq_in acquire' -l token-file -r -F -d 'Consul: the file with the token'
complete -c qq -n '__qq_in acquire' -l tls-ca -r -F -d 'Authorities to trust, PEM'
complete -c qq -n '__qq_in acquire' -l tls-cert -r -F -d 'Client certificate, PEM'
complete -c qq -n '__qq_in acquire' -l tls-key -r -F -d 'Key of the client certificate, PEM'
complete -c qq -n '__qq_in acquire' -l tls-name -x -d 'Name in the server'"'"'s certificate'
complete -c qq -n '__qq_in acquire' -l kubeconfig -r -F -d 'Kubernetes: the kubeconfig'
complete -c qq -n '__qq_in acquire' -l tls-first -d 'NATS: TLS before anything else'
complete -c qq -n '__qq_in acquire' -l follow-redirects -d 'RaftLock: trust the leader'"'"'s address'
complete -c qq -n '__qq_in acquire' -l max-message -x -d 'gRPC: largest message, in MiB'
complete -c qq -n '__qq_in acquire' -l metrics-file -r -F -d 'Keep metrics in FILE'
complete -c qq -n '__qq_in acquire' -l json -d 'Print JSON'
complete -c qq -n '__qq_in acquire' -l color -x -a 'auto always never' -d 'Colour: auto, always or never'
complete -c qq -n '__qq_in acquire' -l quiet -s q -d 'Print only errors on stderr'
complete -c qq -n '__qq_in acquire' -l verbose -s v -d 'Report each step on stderr'
complete -c qq -n '__qq_in acquire' -l help -s h -d 'This help; --help prints more'
complete -c qq -n '__qq_at acquire 0' -a '(__qq_names elections)'
complete -c qq -n '__qq_trailing acquire' -a '(__qq_trailing_candidates)'
complete -c qq -n '__qq_in release' -l token -x -d 'Only the term with this fencing token'
complete -c qq -n '__qq_in release' -l slots -x -d 'Let at most N holders work at a time'
complete -c qq -n '__qq_in release' -l cancel-wait -d 'Leave the queue instead'
complete -c qq -n '__qq_in release' -l retries -x -d 'Retries after a transient failure'
complete -c qq -n '__qq_in release' -l backoff -x -d 'First and longest pause'
complete -c qq -n '__qq_in release' -l backoff-factor -x -d 'How much longer each pause is'
complete -c qq -n '__qq_in release' -l jitter -x -d 'How much pauses vary, 0 to 1'
complete -c qq -n '__qq_in release' -l retry-on -x -a 'not-leader no-leader unavailable timeout rate-limited replication-failure internal-error wait-queue-full lock-held' -d 'RaftLock: which failures to retry'
complete -c qq -n '__qq_in release' -l server -s s -x -a '(__qq_url)' -d 'Where the election lives'
complete -c qq -n '__qq_in release' -l context -x -a '(__qq_names contexts)' -d 'The context to use'
complete -c qq -n '__qq_in release' -l cluster-config -r -F -d 'A cluster.json of the Go library'
complete -c qq -n '__qq_in release' -l id -x -d 'The identity to use'
complete -c qq -n '__qq_in release' -l timeout -x -d 'Limit for one request'
complete -c qq -n '__qq_in release' -l creds -r -F -d 'Log in with a .creds file'
complete -c qq -n '__qq_in release' -l nkey -r -F -d 'Log in with an NKey seed'
complete -c qq -n '__qq_in release' -l login-file -r -F -d 'etcd: the file with USER:PASSWORD'
complete -c qq -n '__qq_in release' -l token-file -r -F -d 'Consul: the file with the token'
complete -c qq -n '__qq_in release' -l tls-ca -r -F -d 'Authorities to trust, PEM'
complete -c qq -n '__qq_in release' -l tls-cert -r -F -d 'Client certificate, PEM'
complete -c qq -n '__qq_in release' -l tls-key -r -F -d 'Key of the client certificate, PEM'
complete -c qq -n '__qq_in release' -l tls-name -x -d 'Name in the server'"'"'s certificate'
complete -c qq -n '__qq_in release' -l kubeconfig -r -F -d 'Kubernetes: the kubeconfig'
complete -c qq -n '__qq_in release' -l tls-first -d 'NATS: TLS before anything else'
complete -c qq -n '__qq_in release' -l follow-redirects -d 'RaftLock: trust the leader'"'"'s address'
complete -c qq -n '__qq_in release' -l max-message -x -d 'gRPC: largest message, in MiB'
complete -c qq -n '__qq_in release' -l metrics-file -r -F -d 'Keep metrics in FILE'
complete -c qq -n '__qq_in release' -l json -d 'Print JSON'
complete -c qq -n '__qq_in release' -l color -x -a 'auto always never' -d 'Colour: auto, always or never'
complete -c qq -n '__qq_in release' -l quiet -s q -d 'Print only errors on stderr'
complete -c qq -n '__qq_in release' -l verbose -s v -d 'Report each step on stderr'
complete -c qq -n '__qq_in release' -l help -s h -d 'This help; --help prints more'
complete -c qq -n '__qq_at release 0' -a '(__qq_names grants)'
complete -c qq -n '__qq_in keepalive' -l once -d 'Renew once and exit'
complete -c qq -n '__qq_in keepalive' -l pid -x -a '(__fish_complete_pids)' -d 'Hold while this process lives'
complete -c qq -n '__qq_in keepalive' -l until-eof -d 'Hold until stdin is closed'
complete -c qq -n '__qq_in keepalive' -l slots -x -d 'Let at most N holders work at a time'
complete -c qq -n '__qq_in keepalive' -l vip -x -d 'Carry this IP address while leading'
complete -c qq -n '__qq_in keepalive' -l priority -x -d 'RaftLock: priority in the queue'
complete -c qq -n '__qq_in keepalive' -l note -x -d 'Text to show beside the leader'
complete -c qq -n '__qq_in keepalive' -l ttl -x -d 'How long a lease lasts'
complete -c qq -n '__qq_in keepalive' -l renew-every -x -d 'Interval between renewals'
complete -c qq -n '__qq_in keepalive' -l require-token -d 'Refuse systems without fencing tokens'
complete -c qq -n '__qq_in keepalive' -l on-elected -x -a '(__fish_complete_command)' -d 'Run CMD when elected'
complete -c qq -n '__qq_in keepalive' -l on-lost -x -a '(__fish_complete_command)' -d 'Run CMD when leadership ends'
complete -c qq -n '__qq_in keepalive' -l on-change -x -a '(__fish_complete_command)' -d 'Run CMD when the leader changes'
complete -c qq -n '__qq_in keepalive' -l hook-timeout -x -d 'Limit for one hook'
complete -c qq -n '__qq_in keepalive' -l retries -x -d 'Retries after a transient failure'
complete -c qq -n '__qq_in keepalive' -l backoff -x -d 'First and longest pause'
complete -c qq -n '__qq_in keepalive' -l backoff-factor -x -d 'How much longer each pause is'
complete -c qq -n '__qq_in keepalive' -l jitter -x -d 'How much pauses vary, 0 to 1'
complete -c qq -n '__qq_in keepalive' -l retry-on -x -a 'not-leader no-leader unavailable timeout rate-limited replication-failure internal-error wait-queue-full lock-held' -d 'RaftLock: which failures to retry'
complete -c qq -n '__qq_in keepalive' -l listen -x -d 'Answer health checks over HTTP'
complete -c qq -n '__qq_in keepalive' -l server -s s -x -a '(__qq_url)' -d 'Where the election lives'
complete -c qq -n '__qq_in keepalive' -l context -x -a '(__qq_names contexts)' -d 'The context to use'
complete -c qq -n '__qq_in keepalive' -l cluster-config -r -F -d 'A cluster.json of the Go library'
complete -c qq -n '__qq_in keepalive' -l id -x -d 'The identity to use'
complete -c qq -n '__qq_in keepalive' -l timeout -x -d 'Limit for one request'
complete -c qq -n '__qq_in keepalive' -l creds -r -F -d 'Log in with a .creds file'
complete -c qq -n '__qq_in keepalive' -l nkey -r -F -d 'Log in with an NKey seed'
complete -c qq -n '__qq_in keepalive' -l login-file -r -F -d 'etcd: the file with USER:PASSWORD'
complete -c qq -n '__qq_in keepalive' -l token-file -r -F -d 'Consul: the file with the token'
complete -c qq -n '__qq_in keepalive' -l tls-ca -r -F -d 'Authorities to trust, PEM'
complete -c qq -n '__qq_in keepalive' -l tls-cert -r -F -d 'Client certificate, PEM'
complete -c qq -n '__qq_in keepalive' -l tls-key -r -F -d 'Key of the client certificate, PEM'
complete -c qq -n '__qq_in keepalive' -l tls-name -x -d 'Name in the server'"'"'s certificate'
complete -c qq -n '__qq_in keepalive' -l kubeconfig -r -F -d 'Kubernetes: the kubeconfig'
complete -c qq -n '__qq_in keepalive' -l tls-first -d 'NATS: TLS before anything else'
complete -c qq -n '__qq_in keepalive' -l follow-redirects -d 'RaftLock: trust the leader'"'"'s address'
complete -c qq -n '__qq_in keepalive' -l max-message -x -d 'gRPC: largest message, in MiB'
complete -c qq -n '__qq_in keepalive' -l metrics-file -r -F -d 'Keep metrics in FILE'
complete -c qq -n '__qq_in keepalive' -l json -d 'Print JSON'
complete -c qq -n '__qq_in keepalive' -l color -x -a 'auto always never' -d 'Colour: auto, always or never'
complete -c qq -n '__qq_in keepalive' -l quiet -s q -d 'Print only errors on stderr'
complete -c qq -n '__qq_in keepalive' -l verbose -s v -d 'Report each step on stderr'
complete -c qq -n '__qq_in keepalive' -l help -s h -d 'This help; --help prints more'
complete -c qq -n '__qq_at keepalive 0 many' -a '(__qq_names elections)'
complete -c qq -n '__qq_in status' -l all -d 'Every election on the server'
complete -c qq -n '__qq_in status' -l slots -x -d 'Read the N slots of each NAME'
complete -c qq -n '__qq_in status' -l mine -d 'Only our elections; exit 1 if none'
complete -c qq -n '__qq_in status' -l held -d 'Only elections that have a leader'
complete -c qq -n '__qq_in status' -l contested -d 'Only elections with waiters'
complete -c qq -n '__qq_in status' -l owner -x -d 'Only leaders whose identity contains TEXT'
complete -c qq -n '__qq_in status' -l match -x -d 'Only names that contain TEXT'
complete -c qq -n '__qq_in status' -l expires-within -x -d 'Only leases about to expire'
complete -c qq -n '__qq_in status' -l limit -x -d 'At most N elections'
complete -c qq -n '__qq_in status' -l offset -x -d 'Skip the first N'
complete -c qq -n '__qq_in status' -l advice -d 'Also print when to try again'
complete -c qq -n '__qq_in status' -l retries -x -d 'Retries after a transient failure'
complete -c qq -n '__qq_in status' -l backoff -x -d 'First and longest pause'
complete -c qq -n '__qq_in status' -l backoff-factor -x -d 'How much longer each pause is'
complete -c qq -n '__qq_in status' -l jitter -x -d 'How much pauses vary, 0 to 1'
complete -c qq -n '__qq_in status' -l retry-on -x -a 'not-leader no-leader unavailable timeout rate-limited replication-failure internal-error wait-queue-full lock-held' -d 'RaftLock: which failures to retry'
complete -c qq -n '__qq_in status' -l server -s s -x -a '(__qq_url)' -d 'Where the election lives'
complete -c qq -n '__qq_in status' -l context -x -a '(__qq_names contexts)' -d 'The context to use'
complete -c qq -n '__qq_in status' -l cluster-config -r -F -d 'A cluster.json of the Go library'
complete -c qq -n '__qq_in status' -l id -x -d 'The identity to use'
complete -c qq -n '__qq_in status' -l timeout -x -d 'Limit for one request'
complete -c qq -n '__qq_in status' -l creds -r -F -d 'Log in with a .creds file'
complete -c qq -n '__qq_in status' -l nkey -r -F -d 'Log in with an NKey seed'
complete -c qq -n '__qq_in status' -l login-file -r -F -d 'etcd: the file with USER:PASSWORD'
complete -c qq -n '__qq_in status' -l token-file -r -F -d 'Consul: the file with the token'
complete -c qq -n '__qq_in status' -l tls-ca -r -F -d 'Authorities to trust, PEM'
complete -c qq -n '__qq_in status' -l tls-cert -r -F -d 'Client certificate, PEM'
complete -c qq -n '__qq_in status' -l tls-key -r -F -d 'Key of the client certificate, PEM'
complete -c qq -n '__qq_in status' -l tls-name -x -d 'Name in the server'"'"'s certificate'
complete -c qq -n '__qq_in status' -l kubeconfig -r -F -d 'Kubernetes: the kubeconfig'
complete -c qq -n '__qq_in status' -l tls-first -d 'NATS: TLS before anything else'
complete -c qq -n '__qq_in status' -l follow-redirects -d 'RaftLock: trust the leader'"'"'s address'
complete -c qq -n '__qq_in status' -l max-message -x -d 'gRPC: largest message, in MiB'
complete -c qq -n '__qq_in status' -l metrics-file -r -F -d 'Keep metrics in FILE'
complete -c qq -n '__qq_in status' -l json -d 'Print JSON'
complete -c qq -n '__qq_in status' -l color -x -a 'auto always never' -d 'Colour: auto, always or never'
complete -c qq -n '__qq_in status' -l quiet -s q -d 'Print only errors on stderr'
complete -c qq -n '__qq_in status' -l verbose -s v -d 'Report each step on stderr'
complete -c qq -n '__qq_in status' -l help -s h -d 'This help; --help prints more'
complete -c qq -n '__qq_at status 0 many' -a '(__qq_names elections)'
complete -c qq -n '__qq_in watch' -l until -x -a 'led free mine changed leader=' -d 'Stop, with exit 0, when this is true'
complete -c qq -n '__qq_in watch' -l slots -x -d 'Read the N slots of each NAME'
complete -c qq -n '__qq_in watch' -l for -x -d 'Stop watching after this time'
complete -c qq -n '__qq_in watch' -l replay -r -F -d 'Show the events that --record wrote'
complete -c qq -n '__qq_in watch' -l exec -x -a '(__fish_complete_command)' -d 'Run CMD at each change'
complete -c qq -n '__qq_in watch' -l hook-timeout -x -d 'Limit for one hook'
complete -c qq -n '__qq_in watch' -l record -r -F -d 'Also write all events to FILE'
complete -c qq -n '__qq_in watch' -l speed -x -d 'Replay this many times as fast'
complete -c qq -n '__qq_in watch' -l server -s s -x -a '(__qq_url)' -d 'Where the election lives'
complete -c qq -n '__qq_in watch' -l context -x -a '(__qq_names contexts)' -d 'The context to use'
complete -c qq -n '__qq_in watch' -l cluster-config -r -F -d 'A cluster.json of the Go library'
complete -c qq -n '__qq_in watch' -l id -x -d 'The identity to use'
complete -c qq -n '__qq_in watch' -l timeout -x -d 'Limit for one request'
complete -c qq -n '__qq_in watch' -l creds -r -F -d 'Log in with a .creds file'
complete -c qq -n '__qq_in watch' -l nkey -r -F -d 'Log in with an NKey seed'
complete -c qq -n '__qq_in watch' -l login-file -r -F -d 'etcd: the file with USER:PASSWORD'
complete -c qq -n '__qq_in watch' -l token-file -r -F -d 'Consul: the file with the token'
complete -c qq -n '__qq_in watch' -l tls-ca -r -F -d 'Authorities to trust, PEM'
complete -c qq -n '__qq_in watch' -l tls-cert -r -F -d 'Client certificate, PEM'
complete -c qq -n '__qq_in watch' -l tls-key -r -F -d 'Key of the client certificate, PEM'
complete -c qq -n '__qq_in watch' -l tls-name -x -d 'Name in the server'"'"'s certificate'
complete -c qq -n '__qq_in watch' -l kubeconfig -r -F -d 'Kubernetes: the kubeconfig'
complete -c qq -n '__qq_in watch' -l tls-first -d 'NATS: TLS before anything else'
complete -c qq -n '__qq_in watch' -l follow-redirects -d 'RaftLock: trust the leader'"'"'s address'
complete -c qq -n '__qq_in watch' -l max-message -x -d 'gRPC: largest message, in MiB'
complete -c qq -n '__qq_in watch' -l metrics-file -r -F -d 'Keep metrics in FILE'
complete -c qq -n '__qq_in watch' -l json -d 'Print JSON'
complete -c qq -n '__qq_in watch' -l color -x -a 'auto always never' -d 'Colour: auto, always or never'
complete -c qq -n '__qq_in watch' -l quiet -s q -d 'Print only errors on stderr'
complete -c qq -n '__qq_in watch' -l verbose -s v -d 'Report each step on stderr'
complete -c qq -n '__qq_in watch' -l help -s h -d 'This help; --help prints more'
complete -c qq -n '__qq_at watch 0 many' -a '(__qq_names elections)'
complete -c qq -n '__qq_in step-down' -l node -x -d 'Only if this identity leads'
complete -c qq -n '__qq_in step-down' -l slots -x -d 'Read the N slots of each NAME'
complete -c qq -n '__qq_in step-down' -l token -x -d 'Only the term with this fencing token'
complete -c qq -n '__qq_in step-down' -l force -d 'Take the lease from another leader'
complete -c qq -n '__qq_in step-down' -l yes -s y -d 'Do not ask'
complete -c qq -n '__qq_in step-down' -l wait -x -d 'Time for it to step down'
complete -c qq -n '__qq_in step-down' -l retries -x -d 'Retries after a transient failure'
complete -c qq -n '__qq_in step-down' -l backoff -x -d 'First and longest pause'
complete -c qq -n '__qq_in step-down' -l backoff-factor -x -d 'How much longer each pause is'
complete -c qq -n '__qq_in step-down' -l jitter -x -d 'How much pauses vary, 0 to 1'
complete -c qq -n '__qq_in step-down' -l retry-on -x -a 'not-leader no-leader unavailable timeout rate-limited replication-failure internal-error wait-queue-full lock-held' -d 'RaftLock: which failures to retry'
complete -c qq -n '__qq_in step-down' -l server -s s -x -a '(__qq_url)' -d 'Where the election lives'
complete -c qq -n '__qq_in step-down' -l context -x -a '(__qq_names contexts)' -d 'The context to use'
complete -c qq -n '__qq_in step-down' -l cluster-config -r -F -d 'A cluster.json of the Go library'
complete -c qq -n '__qq_in step-down' -l id -x -d 'The identity to use'
complete -c qq -n '__qq_in step-down' -l timeout -x -d 'Limit for one request'
complete -c qq -n '__qq_in step-down' -l creds -r -F -d 'Log in with a .creds file'
complete -c qq -n '__qq_in step-down' -l nkey -r -F -d 'Log in with an NKey seed'
complete -c qq -n '__qq_in step-down' -l login-file -r -F -d 'etcd: the file with USER:PASSWORD'
complete -c qq -n '__qq_in step-down' -l token-file -r -F -d 'Consul: the file with the token'
complete -c qq -n '__qq_in step-down' -l tls-ca -r -F -d 'Authorities to trust, PEM'
complete -c qq -n '__qq_in step-down' -l tls-cert -r -F -d 'Client certificate, PEM'
complete -c qq -n '__qq_in step-down' -l tls-key -r -F -d 'Key of the client certificate, PEM'
complete -c qq -n '__qq_in step-down' -l tls-name -x -d 'Name in the server'"'"'s certificate'
complete -c qq -n '__qq_in step-down' -l kubeconfig -r -F -d 'Kubernetes: the kubeconfig'
complete -c qq -n '__qq_in step-down' -l tls-first -d 'NATS: TLS before anything else'
complete -c qq -n '__qq_in step-down' -l follow-redirects -d 'RaftLock: trust the leader'"'"'s address'
complete -c qq -n '__qq_in step-down' -l max-message -x -d 'gRPC: largest message, in MiB'
complete -c qq -n '__qq_in step-down' -l metrics-file -r -F -d 'Keep metrics in FILE'
complete -c qq -n '__qq_in step-down' -l json -d 'Print JSON'
complete -c qq -n '__qq_in step-down' -l color -x -a 'auto always never' -d 'Colour: auto, always or never'
complete -c qq -n '__qq_in step-down' -l quiet -s q -d 'Print only errors on stderr'
complete -c qq -n '__qq_in step-down' -l verbose -s v -d 'Report each step on stderr'
complete -c qq -n '__qq_in step-down' -l help -s h -d 'This help; --help prints more'
complete -c qq -n '__qq_at step-down 0' -a '(__qq_names elections)'
complete -c qq -n '__qq_in cluster-status' -l server -s s -x -a '(__qq_url)' -d 'Where the election lives'
complete -c qq -n '__qq_in cluster-status' -l context -x -a '(__qq_names contexts)' -d 'The context to use'
complete -c qq -n '__qq_in cluster-status' -l cluster-config -r -F -d 'A cluster.json of the Go library'
complete -c qq -n '__qq_in cluster-status' -l id -x -d 'The identity to use'
complete -c qq -n '__qq_in cluster-status' -l timeout -x -d 'Limit for one request'
complete -c qq -n '__qq_in cluster-status' -l creds -r -F -d 'Log in with a .creds file'
complete -c qq -n '__qq_in cluster-status' -l nkey -r -F -d 'Log in with an NKey seed'
complete -c qq -n '__qq_in cluster-status' -l login-file -r -F -d 'etcd: the file with USER:PASSWORD'
complete -c qq -n '__qq_in cluster-status' -l token-file -r -F -d 'Consul: the file with the token'
complete -c qq -n '__qq_in cluster-status' -l tls-ca -r -F -d 'Authorities to trust, PEM'
complete -c qq -n '__qq_in cluster-status' -l tls-cert -r -F -d 'Client certificate, PEM'
complete -c qq -n '__qq_in cluster-status' -l tls-key -r -F -d 'Key of the client certificate, PEM'
complete -c qq -n '__qq_in cluster-status' -l tls-name -x -d 'Name in the server'"'"'s certificate'
complete -c qq -n '__qq_in cluster-status' -l kubeconfig -r -F -d 'Kubernetes: the kubeconfig'
complete -c qq -n '__qq_in cluster-status' -l tls-first -d 'NATS: TLS before anything else'
complete -c qq -n '__qq_in cluster-status' -l follow-redirects -d 'RaftLock: trust the leader'"'"'s address'
complete -c qq -n '__qq_in cluster-status' -l max-message -x -d 'gRPC: largest message, in MiB'
complete -c qq -n '__qq_in cluster-status' -l metrics-file -r -F -d 'Keep metrics in FILE'
complete -c qq -n '__qq_in cluster-status' -l json -d 'Print JSON'
complete -c qq -n '__qq_in cluster-status' -l color -x -a 'auto always never' -d 'Colour: auto, always or never'
complete -c qq -n '__qq_in cluster-status' -l quiet -s q -d 'Print only errors on stderr'
complete -c qq -n '__qq_in cluster-status' -l verbose -s v -d 'Report each step on stderr'
complete -c qq -n '__qq_in cluster-status' -l help -s h -d 'This help; --help prints more'
complete -c qq -n '__qq_in context' -l replace -d 'add: replace an existing context'
complete -c qq -n '__qq_in context' -l from -r -F -d 'add: from a cluster.json'
complete -c qq -n '__qq_in context' -l from-kubeconfig -d 'add: from the kubeconfig'
complete -c qq -n '__qq_in context' -l effective -d 'show: each value and its source'
complete -c qq -n '__qq_in context' -l ttl -x -d 'How long a lease lasts'
complete -c qq -n '__qq_in context' -l renew-every -x -d 'Interval between renewals'
complete -c qq -n '__qq_in context' -l retries -x -d 'Retries after a transient failure'
complete -c qq -n '__qq_in context' -l backoff -x -d 'First and longest pause'
complete -c qq -n '__qq_in context' -l backoff-factor -x -d 'How much longer each pause is'
complete -c qq -n '__qq_in context' -l jitter -x -d 'How much pauses vary, 0 to 1'
complete -c qq -n '__qq_in context' -l retry-on -x -a 'not-leader no-leader unavailable timeout rate-limited replication-failure internal-error wait-queue-full lock-held' -d 'RaftLock: which failures to retry'
complete -c qq -n '__qq_in context' -l server -s s -x -a '(__qq_url)' -d 'Where the election lives'
complete -c qq -n '__qq_in context' -l context -x -a '(__qq_names contexts)' -d 'The context to use'
complete -c qq -n '__qq_in context' -l cluster-config -r -F -d 'A cluster.json of the Go library'
complete -c qq -n '__qq_in context' -l id -x -d 'The identity to use'
complete -c qq -n '__qq_in context' -l timeout -x -d 'Limit for one request'
complete -c qq -n '__qq_in context' -l creds -r -F -d 'Log in with a .creds file'
complete -c qq -n '__qq_in context' -l nkey -r -F -d 'Log in with an NKey seed'
complete -c qq -n '__qq_in context' -l login-file -r -F -d 'etcd: the file with USER:PASSWORD'
complete -c qq -n '__qq_in context' -l token-file -r -F -d 'Consul: the file with the token'
complete -c qq -n '__qq_in context' -l tls-ca -r -F -d 'Authorities to trust, PEM'
complete -c qq -n '__qq_in context' -l tls-cert -r -F -d 'Client certificate, PEM'
complete -c qq -n '__qq_in context' -l tls-key -r -F -d 'Key of the client certificate, PEM'
complete -c qq -n '__qq_in context' -l tls-name -x -d 'Name in the server'"'"'s certificate'
complete -c qq -n '__qq_in context' -l kubeconfig -r -F -d 'Kubernetes: the kubeconfig'
complete -c qq -n '__qq_in context' -l tls-first -d 'NATS: TLS before anything else'
complete -c qq -n '__qq_in context' -l follow-redirects -d 'RaftLock: trust the leader'"'"'s address'
complete -c qq -n '__qq_in context' -l max-message -x -d 'gRPC: largest message, in MiB'
complete -c qq -n '__qq_in context' -l metrics-file -r -F -d 'Keep metrics in FILE'
complete -c qq -n '__qq_in context' -l json -d 'Print JSON'
complete -c qq -n '__qq_in context' -l color -x -a 'auto always never' -d 'Colour: auto, always or never'
complete -c qq -n '__qq_in context' -l quiet -s q -d 'Print only errors on stderr'
complete -c qq -n '__qq_in context' -l verbose -s v -d 'Report each step on stderr'
complete -c qq -n '__qq_in context' -l help -s h -d 'This help; --help prints more'
complete -c qq -n '__qq_at context 0' -a 'add list use show remove rename test'
complete -c qq -n '__qq_at context 1' -a '(__qq_names contexts)'
complete -c qq -n '__qq_in repl' -l script -s f -r -F -d 'Run the lines of FILE'
complete -c qq -n '__qq_in repl' -l keep-going -d 'Continue after a line that fails'
complete -c qq -n '__qq_in repl' -l server -s s -x -a '(__qq_url)' -d 'Where the election lives'
complete -c qq -n '__qq_in repl' -l context -x -a '(__qq_names contexts)' -d 'The context to use'
complete -c qq -n '__qq_in repl' -l cluster-config -r -F -d 'A cluster.json of the Go library'
complete -c qq -n '__qq_in repl' -l id -x -d 'The identity to use'
complete -c qq -n '__qq_in repl' -l timeout -x -d 'Limit for one request'
complete -c qq -n '__qq_in repl' -l creds -r -F -d 'Log in with a .creds file'
complete -c qq -n '__qq_in repl' -l nkey -r -F -d 'Log in with an NKey seed'
complete -c qq -n '__qq_in repl' -l login-file -r -F -d 'etcd: the file with USER:PASSWORD'
complete -c qq -n '__qq_in repl' -l token-file -r -F -d 'Consul: the file with the token'
complete -c qq -n '__qq_in repl' -l tls-ca -r -F -d 'Authorities to trust, PEM'
complete -c qq -n '__qq_in repl' -l tls-cert -r -F -d 'Client certificate, PEM'
complete -c qq -n '__qq_in repl' -l tls-key -r -F -d 'Key of the client certificate, PEM'
complete -c qq -n '__qq_in repl' -l tls-name -x -d 'Name in the server'"'"'s certificate'
complete -c qq -n '__qq_in repl' -l kubeconfig -r -F -d 'Kubernetes: the kubeconfig'
complete -c qq -n '__qq_in repl' -l tls-first -d 'NATS: TLS before anything else'
complete -c qq -n '__qq_in repl' -l follow-redirects -d 'RaftLock: trust the leader'"'"'s address'
complete -c qq -n '__qq_in repl' -l max-message -x -d 'gRPC: largest message, in MiB'
complete -c qq -n '__qq_in repl' -l metrics-file -r -F -d 'Keep metrics in FILE'
complete -c qq -n '__qq_in repl' -l json -d 'Print JSON'
complete -c qq -n '__qq_in repl' -l color -x -a 'auto always never' -d 'Colour: auto, always or never'
complete -c qq -n '__qq_in repl' -l quiet -s q -d 'Print only errors on stderr'
complete -c qq -n '__qq_in repl' -l verbose -s v -d 'Report each step on stderr'
complete -c qq -n '__qq_in repl' -l help -s h -d 'This help; --help prints more'
complete -c qq -n '__qq_in completions' -l help -s h -d 'This help; --help prints more'
complete -c qq -n '__qq_at completions 0' -a 'bash zsh fish'
complete -c qq -n '__qq_in man' -l help -s h -d 'This help; --help prints more'
complete -c qq -n '__qq_at man 0' -a 'qq qq-acquire qq-release qq-keepalive qq-status qq-watch qq-step-down qq-cluster-status qq-context qq-repl qq-json qq-metrics qq-quorum-quest qq-raftlock qq-nats qq-kubernetes qq-etcd qq-consul'
complete -c qq -n '__qq_in help' -l help -s h -d 'This help; --help prints more'
complete -c qq -n '__qq_at help 0' -a 'acquire release keepalive status watch step-down cluster-status context repl completions man help version'
complete -c qq -n '__qq_in version' -l json -d 'Print JSON'
complete -c qq -n '__qq_in version' -l help -s h -d 'This help; --help prints more'
