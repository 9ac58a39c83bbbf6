import QQCore

/// The output of an exec plugin: an ExecCredential (client.authentication.k8s.io).
struct ExecCredential: Sendable, Hashable {
    var credential: Credential
    /// When the credential ends; nil if it does not say.
    var expiration: WallTime?

    static let largest = 1 << 20

    /// - Throws: `PluginFault`, which contains nothing of the output but names.
    init(_ output: [UInt8], as version: ExecPlugin.Version) throws(PluginFault) {
        guard !output.allSatisfy({ $0 == 0x20 || (0x09...0x0d).contains($0) }) else { throw .noCredential("it printed nothing") }
        let document: JSONValue
        do throws(JSONError) { document = try JSONValue.parse(output, maximumSize: Self.largest) } catch {
            // The library's reason can quote a character of the output.
            throw .noCredential("its output is not JSON (line \(error.line))")
        }
        guard document.objectValue != nil, let kind = document["kind"]?.stringValue else { throw .noCredential("its output has no kind") }
        guard let written = document["apiVersion"]?.stringValue else { throw .noCredential("its output has no apiVersion") }
        guard written == version.rawValue else { throw .otherVersion(Self.shown(written)) }
        guard kind == "ExecCredential" else { throw .noCredential("its output is a \(Self.shown(kind))") }
        guard let status = document["status"], !status.isNull else { throw .noStatus }
        guard status.objectValue != nil else { throw .noCredential("the status in its output is not an object") }
        func text(_ key: String) throws(PluginFault) -> String? {
            guard let value = status[key], !value.isNull else { return nil }
            guard let text = value.stringValue else { throw .noCredential("\(key) in its output is not a text") }
            return text.isEmpty ? nil : text
        }
        let token = try text("token").map { Secret($0).trimmed }
        let (certificate, key) = (try text("clientCertificateData"), try text("clientKeyData"))
        guard token != nil || certificate != nil || key != nil else { throw .emptyStatus }
        guard (certificate == nil) == (key == nil) else { throw .halfCertificate }
        guard token?.fitsInHeader ?? true else {
            throw .noCredential("the token in its output has more than one line, or control characters")
        }
        credential = Credential(
            authorization: token.map { Secret("Bearer " + $0.text) },
            certificate: certificate.flatMap { certificate in key.map { .init(certificate: certificate, key: Secret($0)) } })
        if let text = try text("expirationTimestamp") {
            do throws(WallTime.Invalid) { expiration = try WallTime.parse(rfc3339: text) } catch {
                throw .noCredential("expirationTimestamp in its output \(error.reason)")
            }
        }
    }

    /// A name of the output, safe to show.
    private static func shown(_ text: String) -> String { Printable.text(String(text.prefix(100))) }
}

/// What a request is authenticated with.
struct Credential: Sendable, Hashable {
    /// The value of `Authorization`; nil for none.
    var authorization: Secret?
    /// The client certificate of the connection, if it comes from a plugin.
    var certificate: ClientCertificate?

    /// A certificate chain with its key, in PEM form.
    struct ClientCertificate: Sendable, Hashable {
        var certificate: String
        var key: Secret
    }
}
