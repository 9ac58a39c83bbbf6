import QQHTTP

/// The user for whom requests are made in place of the one who is logged in, if the server allows that (the verb `impersonate`).
struct Impersonation: Sendable, Hashable {
    var user: String
    var uid: String?
    var groups: [String] = []
    var extra: [(key: String, values: [String])] = []

    /// The fields of each request.
    var fields: [HTTPRequest.Field] {
        var fields = [HTTPRequest.Field("Impersonate-User", user)]
        if let uid { fields.append(.init("Impersonate-Uid", uid)) }
        fields += groups.map { .init("Impersonate-Group", $0) }
        for (key, values) in extra { fields += values.map { .init("Impersonate-Extra-" + Self.escaped(key), $0) } }
        return fields
    }

    /// The key as part of a field's name: bytes that names of fields do not have (RFC 9110, section 5.6.2), and the percent sign, are percent-encoded.
    static func escaped(_ key: String) -> String {
        var name: [UInt8] = []
        for byte in key.utf8 {
            if isLetterOrDigit(byte) || "!#$&'*+-.^_`|~".utf8.contains(byte) {
                name.append(byte)
            } else {
                let digits = Array("0123456789ABCDEF".utf8)
                name += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: name, as: UTF8.self)
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
        default: false
        }
    }

    static func == (one: Impersonation, other: Impersonation) -> Bool { one.fields == other.fields }

    func hash(into hasher: inout Hasher) { hasher.combine(fields) }
}
