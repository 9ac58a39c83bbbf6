import QQCore

extension ServerURL.System {
    /// Lease files in a folder of this machine: `file:///DIR`, or the path alone.
    public static let file = ServerURL.System(name: "file", schemes: [.init("file")], authority: .none, path: .folder)
}

extension ServerURL {
    /// The URL of a folder of lease files. The path is taken as it is, without decoding, and normalised.
    ///
    /// - Throws: ``Invalid`` unless the path is absolute and without NUL.
    public static func file(path: String) throws(Invalid) -> ServerURL { try folder(path, of: .file) }
}
