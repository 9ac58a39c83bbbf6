import QQCore

/// A file with `USER:PASSWORD` in its only line. The user has no colon; the password can have some.
package enum EtcdLoginFile {
    private static let limit = 4 << 10

    /// - Throws: `.configuration` if the file cannot be read, or has no login.
    package static func read(_ path: String) throws(CoordinationError) -> EtcdLogin {
        func refuse(_ reason: String, hint: String? = nil) -> CoordinationError {
            CoordinationError(.configuration, "cannot log in to etcd", because: reason, at: path, hint: hint)
        }
        let bytes: [UInt8]
        do throws(SystemCallError) { bytes = try ReadableFile.contents(of: path, upTo: limit + 1) } catch { throw refuse(error.reason) }
        guard bytes.count <= limit else { throw refuse("the file is larger than \(limit >> 10) KiB") }
        guard let login = parse(bytes) else {
            throw refuse("the file does not contain a login", hint: "write USER:PASSWORD into it, in one line")
        }
        return login
    }

    /// - Returns: nil for anything else than a user and a password in one line.
    package static func parse(_ bytes: [UInt8]) -> EtcdLogin? {
        var bytes = bytes[...]
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard let text = String(validating: bytes, as: UTF8.self), !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }),
            let colon = text.firstIndex(of: ":"), colon != text.startIndex
        else { return nil }
        let password = String(text[text.index(after: colon)...])
        return password.isEmpty ? nil : EtcdLogin(user: String(text[..<colon]), password: password)
    }
}
