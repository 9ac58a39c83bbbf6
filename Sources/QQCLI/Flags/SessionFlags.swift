/// Flags for sessions and scripts.
extension Flags {
    static let script = Flag<String>(
        "script", short: "f", value: "FILE", kind: .file, group: .selection,
        help: "Run the lines of FILE",
        more: "Run the lines of this file instead of those of stdin.",
        parse: Values.text)

    static let keepGoing = Flag(
        switch: "keep-going", group: .selection,
        help: "Continue after a line that fails",
        more: """
            Run the whole script, even after a line that fails. The exit code is that of the first line that failed. A lost lease still ends the \
            script, with exit code 79.
            """)
}
