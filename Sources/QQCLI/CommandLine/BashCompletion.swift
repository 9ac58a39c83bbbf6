/// The completion script for bash. It needs no other package, but uses bash-completion's `_command_offset` if that exists.
enum BashCompletion {
    static var script: String {
        #"""
        \#(CompletionSource.notice)

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
            if [[ $1 == \#(Systems.folderScheme)://* ]]; then
                compopt -o nospace 2>/dev/null
                __qq_offer "$1" < <(compgen -d -S / -- "${1#\#(Systems.folderScheme)://}" | sed 's|^|\#(Systems.folderScheme)://|')
            else
                compopt -o nospace 2>/dev/null
                __qq_words "$1" \#(Systems.folderScheme):///
            fi
        }

        # Completes the value of flag $1, of which $2 has been typed.
        __qq_value() {
            case $1 in
        \#(valueCases)
            esac
        }

        # Sets flags to the flags of command $1, and valued to the flags whose next word is a value.
        __qq_command() {
            case $1 in
            '')
                flags=\#(flagWords(Flags.topLevel.filter { !$0.isHidden }))
                valued=\#(valuedWords(Flags.topLevel))
                ;;
        \#(commandCases)
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
                    \#(trailingCommands))
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
                '') __qq_words "$cur" \#(CompletionSource.commandNames.joined(separator: " ")) ;;
        \#(positionalCases)
                esac
            fi
        }

        complete -F _qq qq

        """#
    }

    private static func flagWords(_ flags: [AnyFlag]) -> String {
        CompletionSource.quoted(flags.flatMap(\.spellings).joined(separator: " "))
    }

    private static func valuedWords(_ flags: [AnyFlag]) -> String {
        CompletionSource.quoted(CompletionSource.spellingsWithValue(flags).joined(separator: " "))
    }

    private static var trailingCommands: String {
        Commands.visible.filter(\.takesTrailingCommand).map(\.name).joined(separator: " | ")
    }

    private static var commandCases: String {
        Commands.visible.map { command in
            let flags = CompletionSource.flags(of: command)
            let dashes = command.takesTrailingCommand ? "'-- '" : ""
            return """
                    \(command.name))
                        flags=\(dashes)\(flagWords(flags))
                        valued=\(valuedWords(flags))
                        ;;
                """
        }.joined(separator: "\n")
    }

    private static var valueCases: String {
        CompletionSource.flags.compactMap { flag in
            action(for: flag.kind, typed: "$2").map { "    \(flag.spellings.joined(separator: " | "))) \($0) ;;" }
        }.joined(separator: "\n")
    }

    private static var positionalCases: String {
        Commands.visible.compactMap { command in
            let cases = command.positionals.enumerated().compactMap { place, positional in
                action(for: positional.kind, typed: "$cur").map { action in
                    positional.isVariadic ? action : "((places == \(place))) && \(action)"
                }
            }
            return cases.isEmpty ? nil : "        \(command.name)) \(cases.joined(separator: "; ")) ;;"
        }.joined(separator: "\n")
    }

    private static func action(for kind: ValueKind, typed: String) -> String? {
        let typed = "\"\(typed)\""
        switch kind {
        case .none, .text, .duration, .count: return nil
        case .choice(let words): return "__qq_words \(typed) \(words.joined(separator: " "))"
        case .file: return "__qq_paths -f \(typed)"
        case .directory: return "__qq_paths -d \(typed)"
        case .serverURL: return "__qq_url \(typed)"
        case .election: return "__qq_names elections \(typed)"
        case .grant: return "__qq_names grants \(typed)"
        case .context: return "__qq_names contexts \(typed)"
        case .command: return "__qq_offer \(typed) < <(compgen -c -- \(typed) | sort -u)"
        case .pid: return "__qq_offer \(typed) < <(cd /proc && printf '%s\\n' [0-9]*)"
        case .commandName: return "__qq_words \(typed) \(CompletionSource.commandNames.joined(separator: " "))"
        case .manPage: return "__qq_words \(typed) \(CompletionSource.manPageNames.joined(separator: " "))"
        }
    }
}
