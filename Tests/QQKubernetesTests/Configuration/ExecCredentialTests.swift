import QQCore
import Testing

@testable import QQKubernetes

@Suite struct ExecCredentialTests {
    private func read(_ text: String, as version: ExecPlugin.Version = .v1) throws -> ExecCredential {
        try ExecCredential(Array(text.utf8), as: version)
    }

    /// The fault of an output whose ExecCredential has this status.
    private func fault(status: String) throws -> PluginFault {
        try fault(#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":\#(status)}"#)
    }

    private func fault(_ text: String) throws -> PluginFault {
        let fault = try #require(throws: PluginFault.self) { try read(text) }
        #expect(!"\(fault)".contains("s3cret"))
        return fault
    }

    @Test func `a token is read with its end`() throws {
        for version in ExecPlugin.Version.allCases {
            let text = """
                {"kind": "ExecCredential", "apiVersion": "\(version.rawValue)", "spec": {}, "more": 1,
                 "status": {"token": "s3cret", "expirationTimestamp": "2026-03-01T12:00:00+02:00", "clientCertificateData": null, "clientKeyData": ""}}
                """
            let found = try read(text, as: version)
            #expect(found.credential == Credential(authorization: Secret("Bearer s3cret")))
            #expect(found.expiration == WallTime(seconds: 1_772_359_200))
        }
    }

    @Test func `a client certificate is read as PEM`() throws {
        let found = try read(
            #"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"clientCertificateData":"C\n","clientKeyData":"s3cret"}}"#
        )
        #expect(found.credential.certificate == .init(certificate: "C\n", key: Secret("s3cret")))
        #expect(found.credential.authorization == nil && found.expiration == nil)
        var dumped = ""
        dump(found, to: &dumped)
        #expect(!dumped.contains("s3cret"))
    }

    @Test func `an output that is no ExecCredential is told apart`() throws {
        #expect(try fault("") == .noCredential("it printed nothing"))
        #expect(try fault(" \n") == .noCredential("it printed nothing"))
        #expect(try fault("s3cret") == .noCredential("its output is not JSON (line 1)"))
        #expect(try fault("{}\n{}") == .noCredential("its output is not JSON (line 2)"))
        #expect(try fault("[]") == .noCredential("its output has no kind"))
        #expect(try fault(#"{"kind":"ExecCredential"}"#) == .noCredential("its output has no apiVersion"))
        #expect(try fault(#"{"kind":"Secret","apiVersion":"client.authentication.k8s.io/v1"}"#) == .noCredential("its output is a Secret"))
    }

    @Test func `another version is told apart`() throws {
        let text = #"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"s3cret"}}"#
        #expect(try fault(text) == .otherVersion("client.authentication.k8s.io/v1beta1"))
        #expect(try fault(#"{"kind":"ExecCredential","apiVersion":"\u001b[2J"}"#) == .otherVersion("\\x1b[2J"))
    }

    @Test func `a status without a credential is told apart`() throws {
        #expect(try fault(status: "null") == .noStatus)
        #expect(try fault(status: "{}") == .emptyStatus)
        #expect(try fault(status: #"{"token":""}"#) == .emptyStatus)
        #expect(try fault(status: #"{"clientCertificateData":"C"}"#) == .halfCertificate)
        #expect(try fault(status: #"{"token":"s3cret","clientKeyData":"s3cret"}"#) == .halfCertificate)
        #expect(try fault(status: "7") == .noCredential("the status in its output is not an object"))
        #expect(try fault(status: #"{"token":["s3cret"]}"#) == .noCredential("token in its output is not a text"))
        #expect(
            try fault(status: #"{"token":"s3cret\nX-Evil: 1"}"#)
                == .noCredential("the token in its output has more than one line, or control characters"))
        #expect(
            try fault(status: #"{"token":"s3cret","expirationTimestamp":"soon"}"#)
                == .noCredential("expirationTimestamp in its output is not an RFC 3339 time, as in 2026-03-01T12:00:00Z"))
    }
}
