import QQCore

/// A file with the seed of an NKey: alone, between comments, or as in a `.creds` file.
public struct SeedFile: Sendable {
    public let key: NKey
    /// Whether users other than its owner can access the file.
    public let isReadableByOthers: Bool

    /// Reads the file at `path`.
    ///
    /// - Throws: ``NATSError`` of kind `configuration` for a file that cannot be read or has no seed of a user. It names the file.
    public init(path: String) throws(NATSError) {
        self = try SecretFile.read(path) { (content, isReadableByOthers) throws(NATSError) in
            try SeedFile(content: content, isReadableByOthers: isReadableByOthers)
        }
    }

    init(content: [UInt8], isReadableByOthers: Bool = false) throws(NATSError) {
        var seed = try Self.seed(in: DecoratedText(content))
        defer { Secret.wipe(&seed) }
        key = try NKey(seedBytes: seed)
        self.isReadableByOthers = isReadableByOthers
    }

    private static func seed(in text: DecoratedText) throws(NATSError) -> [UInt8] {
        switch text.block("SEED", "NKEY") {
        case .content(let content): return content
        case .open: throw NATSError(.configuration, "the NKey seed has no END line: the file was cut")
        case .missing:
            guard let line = text.firstPlainLine else { throw NATSError(.configuration, "the file has no NKey seed") }
            return Array(line)
        }
    }
}
