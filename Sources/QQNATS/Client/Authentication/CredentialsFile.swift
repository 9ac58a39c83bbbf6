import QQCore

/// A `.creds` file: a user's JWT, and the NKey that belongs to it.
///
/// Description and mirror leave the JWT out.
public struct CredentialsFile: Sendable {
    public let jwt: String
    public let key: NKey
    /// Whether users other than its owner can access the file.
    public let isReadableByOthers: Bool

    /// Reads the file at `path`, as the NATS tools write it.
    ///
    /// - Throws: ``NATSError`` of kind `configuration` for a file that cannot be read or used, and `denied` for a JWT that has expired by `now`. Both name the file.
    public init(path: String, now: WallTime = .now()) throws(NATSError) {
        self = try SecretFile.read(path) { (content, isReadableByOthers) throws(NATSError) in
            try CredentialsFile(content: content, isReadableByOthers: isReadableByOthers, now: now)
        }
    }

    init(content: [UInt8], isReadableByOthers: Bool = false, now: WallTime) throws(NATSError) {
        let text = DecoratedText(content)
        let jwt = try UserJWT(try Self.content(of: text.block("JWT"), "JWT", "-----BEGIN NATS USER JWT-----"))
        var seed = try Self.content(of: text.block("SEED", "NKEY"), "NKey seed", "-----BEGIN USER NKEY SEED-----")
        defer { Secret.wipe(&seed) }
        let key = try NKey(seedBytes: seed)
        if let subject = jwt.subject, subject != key.publicKey {
            throw NATSError(.configuration, "the NKey seed belongs to \(key.publicKey), but the JWT to \(Printable.text(subject))")
        }
        if let expiry = jwt.expiry, expiry <= now {
            throw NATSError(.denied, "the JWT expired at \(expiry)", hint: "create a new file, for example with nsc")
        }
        self.jwt = jwt.text
        self.key = key
        self.isReadableByOthers = isReadableByOthers
    }

    private static func content(of block: DecoratedText.Block, _ name: String, _ line: String) throws(NATSError) -> [UInt8] {
        switch block {
        case .content(let content) where !content.isEmpty: return content
        case .content: throw NATSError(.configuration, "the \(name) is empty")
        case .open: throw NATSError(.configuration, "the \(name) has no END line: the file was cut")
        case .missing: throw NATSError(.configuration, "the \(name) is missing: there is no line \(line)")
        }
    }
}

extension CredentialsFile: CustomStringConvertible, CustomReflectable {
    /// The user's public key.
    public var description: String { "credentials of \(key)" }

    /// Shows the description alone, to keep secrets out of dumps.
    public var customMirror: Mirror { Mirror(self, children: ["credentials": description]) }
}
