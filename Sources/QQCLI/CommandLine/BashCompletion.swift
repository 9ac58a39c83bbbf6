/// The completion script for bash. It needs no other package, and uses bash-completion's `_command_offset` where there is one.
enum BashCompletion {
    static var script: String {
        """
        \(CompletionSource.notice)

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
            cur=${words[${#words[@]} - 1]#[\\"\\']}
        }

        # Offers those of the given lines that start with $1, without what readline counts as another word.
        __qq_offer() {
            local start=$1 line last=${COMP_WORDS[COMP_CWORD]#[\\"\\']}
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
            __qq_offer "$start" < <(printf '%s\\n' "$@")
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
        \(valueCases)
            esac
        }

        # What a command knows: its flags, those whose next word is a value.
        __qq_command() {
            case $1 in
            '')
                flags=\(flagWords(Flags.topLevel.filter { !$0.isHidden }))
                valued=\(valuedWords(Flags.topLevel))
                ;;
        \(commandCases)
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
            local IFS=$' \\t\\n'
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
                    \(trailingCommands)) __qq_trailing $((raw[i] + 1)) && return ;;
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
                '') __qq_words "$cur" \(CompletionSource.commandNames.joined(separator: " ")) ;;
        \(positionalCases)
                esac
            fi
        }

        complete -F _qq qq

        """
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
