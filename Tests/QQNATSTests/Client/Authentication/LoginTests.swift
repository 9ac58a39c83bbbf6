import Foundation
import Testing

@testable import QQNATS

@Suite("Logging in to NATS") struct LoginTests {
    private static var info: ServerInfo {
        var info = ServerInfo()
        info.nonce = "PXoWU7zWAMt75FY"
        return info
    }
    private static let signature = "bnxg5G8aOV2LQdSE_lcM9clxm_fbTTZxsqQ1EpTNgJXmH6z5ezesd49kXfuNhoAqw_DmEtsGcNsJdug9wMuRDQ"

    @Test("a login sends the given credentials and nothing else") func simple() throws {
        var expected = ConnectOptions(name: "me", tlsRequired: true)
        #expect(try Login.connectOptions(for: .none, info: Self.info, tlsRequired: true, name: "me") == expected)
        expected.token = "t"
        #expect(try Login.connectOptions(for: .token("t"), info: Self.info, tlsRequired: true, name: "me") == expected)
        expected = ConnectOptions(name: "me")
        (expected.user, expected.password) = ("u", "")
        #expect(
            try Login.connectOptions(for: .userPassword(user: "u", password: ""), info: Self.info, tlsRequired: false, name: "me")
                == expected)
    }

    @Test("a login without credentials is sent even if the server requires authentication") func none() throws {
        var info = Self.info
        info.authRequired = true
        #expect(try Login.connectOptions(for: .none, info: info, tlsRequired: false, name: "") == ConnectOptions())
    }

    @Test("a login with an NKey signs the nonce, and fails if the server sends none") func nkey() throws {
        try withFile(NKeyTests.seed) { path in
            var expected = ConnectOptions(name: "me")
            (expected.nkey, expected.signature) = (NKeyTests.publicKey, Self.signature)
            let options = try Login.connectOptions(for: .nkey(seedFile: path), info: Self.info, tlsRequired: false, name: "me")
            #expect(options == expected)
            let error = #expect(throws: NATSError.self) {
                try Login.connectOptions(for: .nkey(seedFile: path), info: ServerInfo(), tlsRequired: false, name: "me")
            }
            #expect(error?.kind == .configuration)
        }
    }

    @Test("a login with a credentials file signs the nonce with the file's seed and sends its JWT") func credentials() throws {
        let jwt = CredentialsFileTests.token(#"{"sub":"\#(NKeyTests.publicKey)","exp":0}"#)
        try withFile(CredentialsFileTests.creds(jwt: jwt)) { path in
            var expected = ConnectOptions(name: "me")
            (expected.jwt, expected.signature) = (jwt, Self.signature)
            let options = try Login.connectOptions(for: .credentialsFile(path), info: Self.info, tlsRequired: false, name: "me")
            #expect(options == expected)
            // A server without authentication sends no nonce.
            let open = try Login.connectOptions(for: .credentialsFile(path), info: ServerInfo(), tlsRequired: false, name: "me")
            #expect(open.jwt == jwt)
        }
    }

    @Test("the error for an expired credentials file names the file") func expired() throws {
        try withFile(CredentialsFileTests.creds(jwt: CredentialsFileTests.token(#"{"exp":1000000000}"#))) { path in
            let error = #expect(throws: NATSError.self) {
                try Login.connectOptions(for: .credentialsFile(path), info: Self.info, tlsRequired: false, name: "me")
            }
            #expect(
                error
                    == NATSError(
                        .denied, "the JWT expired at 2001-09-09T01:46:40Z", at: path,
                        hint: "create a new file, for example with nsc"))
        }
    }

    private func withFile(_ content: String, _ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "qq-\(UUID().uuidString)").path()
        #expect(FileManager.default.createFile(atPath: path, contents: Data(content.utf8), attributes: [.posixPermissions: 0o600]))
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }
}
