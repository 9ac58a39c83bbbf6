/// The last resort for an error of a library that no table of ours knows.
public enum ForeignError {
    /// Size of the longest text of a library that is shown, in characters.
    private static let longest = 200

    /// The reason in our words, with the library's own behind: `TLS with the server failed (library: LENGTH_MISMATCH)`. A system call's failure is told by
    /// the system's text, and a cancelled task by "interrupted".
    ///
    /// - Parameter what: what failed, such as "TLS with the server failed".
    public static func reason(_ what: String, _ error: any Error) -> String {
        switch error {
        case let error as SystemCallError: error.description
        case is CancellationError: "interrupted"
        default: reason(what, words: "\(error)")
        }
    }

    /// - Parameter words: the library's text; it is made safe to show, and cut.
    public static func reason(_ what: String, words: String) -> String {
        let short = words.count > longest ? words.prefix(longest) + "…" : words[...]
        return short.isEmpty ? what : "\(what) (library: \(Printable.text(String(short))))"
    }
}
