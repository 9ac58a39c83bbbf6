import Glibc
import QQCore

/// Checks that words and variables are valid UTF-8. Otherwise a replacement character would take the place of invalid bytes: two identities would become one,
/// and the name of a folder that of another folder.
enum GivenText {
    /// The variables to check in addition to those that begin with `QQ_`.
    private static let variables: Set<String> = [
        "CONSUL_CACERT", "CONSUL_CLIENT_CERT", "CONSUL_CLIENT_KEY", "CONSUL_DATACENTER", "CONSUL_HTTP_ADDR", "CONSUL_HTTP_AUTH",
        "CONSUL_HTTP_TOKEN", "CONSUL_HTTP_TOKEN_FILE", "CONSUL_TLS_SERVER_NAME", "HOME", "KUBECONFIG", "POD_NAME", "XDG_CONFIG_HOME",
        "XDG_RUNTIME_DIR", "XDG_STATE_HOME",
    ]

    /// - Parameter words: the arguments without the name of the program.
    /// - Throws: `UsageError` for the first word that is not valid UTF-8.
    static func check(words: some Sequence<UnsafeMutablePointer<CChar>>) throws(UsageError) {
        for word in words where String(validatingCString: word) == nil {
            throw UsageError(
                "'\(Printable.text(UTF8Text.escaping(bytes(word))))' is not valid UTF-8",
                hint: "names, identities and paths are text; only the command after -- can contain any bytes")
        }
    }

    /// - Throws: `UsageError` for the first variable that `qq` reads and that is not valid UTF-8.
    static func checkEnvironment() throws(UsageError) {
        var next = environ
        while let entry = next.pointee {
            next += 1
            guard String(validatingCString: entry) == nil else { continue }
            let name = String(decoding: bytes(entry).prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
            guard name.hasPrefix("QQ_") || variables.contains(name) else { continue }
            // The message does not show the value, which can be a secret.
            throw UsageError(
                "the variable \(Printable.text(name)) is not valid UTF-8",
                hint: "set it to text, or unset it: unset \(Printable.text(name))")
        }
    }

    static func bytes(_ text: UnsafePointer<CChar>) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
    }
}
