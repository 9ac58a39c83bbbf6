import NIOSSL

/// Certificates and keys for a connection, read anew each time, so that renewed ones are used.
enum TLSContext {
    /// - Throws: `NATSError` of kind `.configuration` that names the file.
    static func make(_ options: NATSOptions.TLS) throws(NATSError) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if let file = options.authorityFile {
            let certificates = try reading(file, "the authorities' certificates") { try NIOSSLCertificate.fromPEMFile(file) }
            configuration.trustRoots = .certificates(certificates)
        }
        if let file = options.certificateFile {
            let chain = try reading(file, "our certificate") { try NIOSSLCertificate.fromPEMFile(file) }
            configuration.certificateChain = chain.map { .certificate($0) }
            let keyFile = options.keyFile ?? file
            let key = try reading(keyFile, "the key of our certificate") { try NIOSSLPrivateKey(file: keyFile, format: .pem) }
            configuration.privateKey = .privateKey(key)
        }
        do { return try NIOSSLContext(configuration: configuration) } catch {
            throw NATSError(.configuration, "TLS cannot be set up: \(error)")
        }
    }

    private static func reading<Value>(_ file: String, _ what: String, _ body: () throws -> Value) throws(NATSError) -> Value {
        do { return try body() } catch { throw NATSError(.configuration, "\(what) cannot be read: \(brief(error))", at: file) }
    }

    /// What went wrong, without the library's dump of its internals.
    private static func brief(_ error: any Error) -> String {
        switch error {
        case NIOSSLError.failedToLoadCertificate: "the file holds no PEM certificate"
        case NIOSSLError.failedToLoadPrivateKey: "the file holds no PEM key"
        default: "\(error)"
        }
    }

    /// Why a handshake failed, in an operator's words.
    static func reason(_ error: any Error) -> NATSError? {
        switch error {
        case let error as NIOSSLExtraError:
            return NATSError(.configuration, "the server's certificate is not for this name: \(error.description)")
        case NIOSSLError.handshakeFailed(let error):
            let text = "\(error)"
            if text.contains("CERTIFICATE_VERIFY_FAILED") {
                return NATSError(.configuration, "the server's certificate is not signed by an authority that we trust")
            }
            if text.contains("WRONG_VERSION_NUMBER") { return NATSError(.configuration, "the server does not speak TLS at this point") }
            return NATSError(.disconnected, "the TLS handshake failed: \(text)")
        case let error as NIOSSLError: return NATSError(.disconnected, "TLS: \(error)")
        default: return nil
        }
    }
}
