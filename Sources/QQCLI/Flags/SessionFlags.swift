/// Flags for sessions and scripts.
extension Flags {
    static let script = Flag<String>(
        "script", short: "f", value: "FILE", kind: .file, group: .selection,
        help: "Run the lines of FILE",
        more: "Run the lines of this file instead of those of stdin; `-` is stdin.",
        parse: Values.text)

    static let keepGoing = Flag(
        switch: "keep-going", group: .selection,
        help: "Continue after a line that fails",
        more: """
            Run the whole script, even after a line that fails. The exit code is that of the first line that failed. A lost lease still ends the \
            script, with exit code 79.
            """)
}

extension Invocation {
    /// The file of the script; nil if it comes from stdin, or there is none.
    var scriptFile: String? { self[Flags.script].flatMap { $0 == "-" ? nil : $0 } }
}
