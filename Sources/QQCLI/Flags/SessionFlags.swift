/// Sessions and scripts.
extension Flags {
    static let script = Flag<String>(
        "script", short: "f", value: "FILE", kind: .file, group: .selection,
        help: "Run the lines of FILE",
        more: "Run the lines of this file instead of those of stdin.",
        parse: Values.text)

    static let keepGoing = Flag(
        switch: "keep-going", group: .selection,
        help: "Go on after a line that fails",
        more: """
            Run the whole of a script, also after a line that fails. The exit code is that of the first one that did. A lost lease ends the \
            script all the same, with exit code 79.
            """)
}
