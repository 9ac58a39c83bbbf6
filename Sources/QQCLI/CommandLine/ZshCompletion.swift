/// The completion script for zsh: a function `_qq` for `$fpath`.
enum ZshCompletion {
    static var script: String {
        """
        #compdef qq
        \(CompletionSource.notice)

        # The last argument is the kind of names; the arguments before it are for compadd, which quotes the name that it inserts.
        _qq_names() {
            local kind=${@[-1]} server=${opt_args[-s]:-${opt_args[--server]:-$_qq_server}}
            local -a names given
            server=${server//\\\\:/:}  # _arguments escapes colons in values
            server=${(Q)server}
            names=(${(f)"$(_call_program $kind qq __complete $kind ${server:+-s ${(q)server}} -- ${(q)${(Q)PREFIX}} 2>/dev/null </dev/null)"})
            given=(${(Q)words[1,CURRENT - 1]})
            names=(${names:|given})
            # A name that begins with - would be taken for a flag.
            (( ${words[(I)--]} && ${words[(I)--]} < CURRENT )) || names=(${names:#-*})
            compadd "${@[1,-2]}" -a names
        }

        _qq_url() {
            if compset -P '\(Systems.folderScheme)://'; then
                _path_files "$@" -/
            else
                compadd "$@" -S '' -- \(Systems.folderScheme):///
            fi
        }

        _qq_commands() {
            local -a commands
            commands=(
        \(Commands.visible.map { "        \(CompletionSource.quoted("\($0.name):\($0.summary)"))" }.joined(separator: "\n"))
            )
            _describe -t commands command commands
        }

        # Completes the command after -- as any other command; fails if there is none.
        _qq_trailing() {
            local dashes=${words[(i)--]}
            ((dashes < CURRENT)) || return 1
            shift $dashes words
            ((CURRENT -= dashes))
            _normal
        }

        \(Commands.visible.map(function).joined(separator: "\n\n"))

        _qq() {
            local curcontext="$curcontext" state line ret=1 _qq_server
            local -A opt_args
            _arguments -C -s -S \\
        \(Flags.topLevel.filter { !$0.isHidden }.map { "        \(spec($0)) \\" }.joined(separator: "\n"))
                '(-): :_qq_commands' \\
                '(-)*:: :->command' && ret=0
            if [[ $state == command ]]; then
                _qq_server=${opt_args[-s]:-${opt_args[--server]}}
                curcontext="${curcontext%:*}-$line[1]:"
                ((${+functions[_qq_in_${line[1]//-/_}]})) && _qq_in_${line[1]//-/_} && ret=0
            fi
            return ret
        }

        if [[ ${funcstack[1]} == _qq ]]; then
            _qq "$@"
        else
            compdef _qq qq
        fi

        """
    }

    private static func function(for command: Command) -> String {
        var specs = CompletionSource.flags(of: command).map(spec)
        for (place, positional) in command.positionals.enumerated() {
            let start = positional.isVariadic ? "*" : "\(place + 1)"
            specs.append(CompletionSource.quoted("\(start):\(positional.name):\(action(for: positional.kind))"))
        }
        let name = command.name.split(separator: "-").joined(separator: "_")
        let trailing = command.takesTrailingCommand ? "    _qq_trailing && return\n" : ""
        return "_qq_in_\(name)() {\n    local -A opt_args\n\(trailing)    _arguments -s -S \\\n"
            + specs.map { "        \($0)" }.joined(separator: " \\\n") + "\n}"
    }

    /// `'(-s --server)'{-s+,--server=}'[help]:URL:_qq_url'`.
    private static func spec(_ flag: AnyFlag) -> String {
        let repeated = flag.isRepeatable ? "*" : ""
        let excluded = flag.isRepeatable ? "" : "(\(flag.spellings.joined(separator: " ")))"
        var tail = "[\(described(flag.help))]"
        if let valueName = flag.valueName {
            tail += "\(flag.valueIsOptional ? "::" : ":")\(valueName):\(action(for: flag.kind))"
        }
        let long = flag.isSwitch ? flag.long : flag.valueIsOptional ? flag.long + "=-" : flag.long + "="
        guard let short = flag.short else { return CompletionSource.quoted(excluded + repeated + long + tail) }
        let both = "{-\(short)\(flag.isSwitch ? "" : "+"),\(long)}"
        return CompletionSource.quoted(excluded + repeated) + both + CompletionSource.quoted(tail)
    }

    /// A description for `_arguments`, with brackets and colons escaped.
    private static func described(_ text: String) -> String {
        text.reduce(into: "") { $0 += "[]:\\".contains($1) ? "\\\($1)" : String($1) }
    }

    private static func action(for kind: ValueKind) -> String {
        switch kind {
        case .none, .text, .duration, .count: " "
        case .choice(let words): "(\(words.joined(separator: " ")))"
        case .file: "_files"
        case .directory: "_files -/"
        case .serverURL: "_qq_url"
        case .election: "_qq_names elections"
        case .grant: "_qq_names grants"
        case .context: "_qq_names contexts"
        case .command: "_cmdstring"
        case .pid: "_pids"
        case .commandName: "_qq_commands"
        case .manPage: "(\(CompletionSource.manPageNames.joined(separator: " ")))"
        }
    }
}
