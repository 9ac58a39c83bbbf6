/// The output of `help` in a session: one screen, with a line for each command.
enum SessionHelp {
    static var text: String {
        let commands = Commands.visible.filter { $0.id != .repl }.map { ($0.name, $0.summary) }
        let own = SessionCommand.allCases.filter { $0 != .quit }.map { ($0.usage, $0.meaning) }
        let column = ((commands + own).map(\.0.count).max() ?? 0) + 2
        let rows = (commands + own).map { name, meaning in
            name + String(repeating: " ", count: column - name.count) + meaning
        }
        return (rows + ["", "All about one command: help COMMAND; everything else: qq --help, man qq"]).joined(separator: "\n")
    }
}
