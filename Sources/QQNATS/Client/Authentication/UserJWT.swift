import QQCore

/// The parts of a user's JWT that a login needs. Only the server checks whether the JWT is genuine. Source: github.com/nats-io/jwt, version 2.
struct UserJWT {
    /// The JWT as sent in CONNECT.
    let text: String
    /// The public key of the user, `U…`.
    let subject: String?
    /// Expiry time; nil if the JWT never expires.
    let expiry: WallTime?

    /// - Throws: ``NATSError`` of kind `configuration`, which never quotes the text.
    init(_ text: [UInt8]) throws(NATSError) {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ !$0.isEmpty }), let payload = Base64URL.decode(parts[1]),
            Base64URL.decode(parts[0]) != nil,
            Base64URL.decode(parts[2]) != nil, case .object(let claims)? = try? JSONValue.parse(payload)
        else { throw NATSError(.configuration, "the JWT is malformed") }
        if let kind = claims["nats"]?["type"]?.stringValue, kind != "user" {
            throw NATSError(.configuration, "the JWT is not for a user but for: \(Printable.text(kind))")
        }
        self.text = String(decoding: text, as: UTF8.self)
        subject = claims["sub"]?.stringValue
        let end = claims["exp"]?.int64Value ?? 0
        expiry = end > 0 ? WallTime(seconds: end) : nil
    }
}
