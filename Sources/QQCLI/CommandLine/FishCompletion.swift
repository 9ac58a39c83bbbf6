/// The completion script for fish.
enum FishCompletion {
    static var script: String {
        """
        \(CompletionSource.notice)

        # Reads the line up to the word that is being typed: the command, the number of its words, the server, the position of --.
        function __qq_read
            set -g __qq_command
            set -g __qq_places 0
            set -g __qq_server
            set -g __qq_dashes 0
            set -l valued \(valued(Flags.topLevel))
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
        \(valuedCases)
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
            if contains -- $argv[1] \(trailingCommands)
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
            string match -q -r '^[\\'"]' -- (commandline -ct); or set names (string match -v -- '~*' $names)
            if test $__qq_dashes -eq 0
                string match -v -- '-*' $names
            else
                string match -- '*' $names
            end
        end

        function __qq_url
            set -l typed (commandline -ct | string replace -r -- '^(--server=|-s)' '')
            if string match -q -- '\(Systems.folderScheme)://*' $typed
                for folder in (__fish_complete_directories (string replace -- \(Systems.folderScheme):// '' $typed) '')
                    echo \(Systems.folderScheme)://$folder
                end
            else
                echo \(Systems.folderScheme):///
            end
        end

        function __qq_trailing_candidates
            __qq_read
            set -l tokens (commandline -opc)
            set -l words (string escape -- $tokens[(math $__qq_dashes + 1)..-1])
            complete -C (string join ' ' -- $words (commandline -ct))
        end

        complete -c qq -f
        \((bare + Commands.visible.flatMap(lines)).joined(separator: "\n"))

        """
    }

    private static func valued(_ flags: [AnyFlag]) -> String {
        CompletionSource.spellingsWithValue(flags).joined(separator: " ")
    }

    private static var valuedCases: String {
        Commands.visible.map { command in
            """
                        case \(command.name)
                            set valued \(valued(CompletionSource.flags(of: command)))
            """
        }.joined(separator: "\n")
    }

    private static var trailingCommands: String {
        Commands.visible.filter(\.takesTrailingCommand).map(\.name).joined(separator: " ")
    }

    private static var bare: [String] {
        Flags.topLevel.filter { !$0.isHidden }.map { line(for: $0, when: "__qq_bare") }
            + Commands.visible.map { "complete -c qq -n __qq_bare -a \($0.name) -d \(CompletionSource.quoted($0.summary))" }
    }

    private static func lines(for command: Command) -> [String] {
        var lines = CompletionSource.flags(of: command).map { line(for: $0, when: "'__qq_in \(command.name)'") }
        for (place, positional) in command.positionals.enumerated() {
            guard let arguments = arguments(for: positional.kind) else { continue }
            let many = positional.isVariadic ? " many" : ""
            lines.append("complete -c qq -n '__qq_at \(command.name) \(place)\(many)' \(arguments)")
        }
        if command.takesTrailingCommand {
            lines.append("complete -c qq -n '__qq_trailing \(command.name)' -a '(__qq_trailing_candidates)'")
        }
        return lines
    }

    private static func line(for flag: AnyFlag, when condition: String) -> String {
        var words = ["complete -c qq -n \(condition) -l \(flag.name)"]
        if let short = flag.short { words.append("-s \(short)") }
        if flag.takesNextWord { words.append(flag.kind == .file ? "-r" : "-x") }
        if !flag.isSwitch, let arguments = arguments(for: flag.kind) { words.append(arguments) }
        words.append("-d \(CompletionSource.quoted(flag.help))")
        return words.joined(separator: " ")
    }

    private static func arguments(for kind: ValueKind) -> String? {
        switch kind {
        case .none, .text, .duration, .count: nil
        case .choice(let words): "-a '\(words.joined(separator: " "))'"
        case .file: "-F"
        case .directory: "-a '(__fish_complete_directories)'"
        case .serverURL: "-a '(__qq_url)'"
        case .election: "-a '(__qq_names elections)'"
        case .grant: "-a '(__qq_names grants)'"
        case .context: "-a '(__qq_names contexts)'"
        case .command: "-a '(__fish_complete_command)'"
        case .pid: "-a '(__fish_complete_pids)'"
        case .commandName: "-a '\(CompletionSource.commandNames.joined(separator: " "))'"
        case .manPage: "-a '\(CompletionSource.manPageNames.joined(separator: " "))'"
        }
    }
}
