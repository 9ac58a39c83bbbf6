import Foundation
import QQCore
import Testing

@testable import QQNATS

@Suite("Files with NATS credentials") struct CredentialsFileTests {
    static let now = WallTime(seconds: 1_800_000_000)
    static let jwt = token(#"{"sub":"\#(NKeyTests.publicKey)","exp":1800000001,"nats":{"type":"user"}}"#)

    /// An unsigned JWT: only the server checks whether it is genuine.
    static func token(_ claims: String) -> String {
        [#"{"typ":"JWT","alg":"ed25519-nkey"}"#, claims, "signature"].map { Base64URL.encode($0.utf8) }.joined(separator: ".")
    }

    static func creds(jwt: String = Self.jwt, seed: String = NKeyTests.seed) -> String {
        """
        -----BEGIN NATS USER JWT-----
        \(jwt)
        ------END NATS USER JWT------

        ************************* IMPORTANT *************************
        NKEY Seed printed below can be used to sign and prove identity.
        NKEYs are sensitive and should be treated as secrets.

        -----BEGIN USER NKEY SEED-----
        \(seed)
        ------END USER NKEY SEED------

        *************************************************************

        """
    }

    @Test(
        "a .creds file is read as the NATS tools write it",
        arguments: [
            creds(), creds().replacing("\n", with: "\r\n"), creds().replacing("-----B", with: "---B").replacing("------\n", with: "---\n"),
            creds().replacing("\n", with: " \n  "), "\n\n# ours\n" + creds(),
        ])
    func whole(_ text: String) throws {
        let file = try CredentialsFile(content: Array(text.utf8), now: Self.now)
        #expect(file.jwt == Self.jwt)
        #expect(file.key.publicKey == NKeyTests.publicKey)
    }

    @Test("a JWT without an expiry time never expires") func endless() throws {
        for claims in ["{}", #"{"exp":0}"#, #"{"exp":null}"#] {
            #expect(throws: Never.self) { try CredentialsFile(content: Array(Self.creds(jwt: Self.token(claims)).utf8), now: .latest) }
        }
    }

    @Test("an expired JWT is denied, and the error gives the time") func expired() throws {
        for (now, isGood) in [(Self.now, true), (Self.now + .milliseconds(999), true), (Self.now + .seconds(1), false), (.latest, false)] {
            do {
                _ = try CredentialsFile(content: Array(Self.creds().utf8), now: now)
                #expect(isGood)
            } catch {
                #expect(!isGood)
                #expect(
                    error == NATSError(.denied, "the JWT expired at 2027-01-15T08:00:01Z", hint: "create a new file, for example with nsc"))
            }
        }
    }

    @Test(
        "the error for an incomplete .creds file names the missing part",
        arguments: [
            ("", "the JWT is missing"), (NKeyTests.seed, "the JWT is missing"),
            (creds().replacing("JWT", with: "XYZ"), "the JWT is missing"),
            (creds().replacing("SEED", with: "X").replacing("NKEY", with: "Y"), "the NKey seed is missing"),
            (creds(jwt: ""), "the JWT is empty"), (creds(seed: ""), "the NKey seed is empty"),
            (creds().replacing("------END NATS USER JWT------\n", with: ""), "the JWT has no END line"),
            (creds().replacing("------END USER NKEY SEED------\n", with: ""), "the NKey seed has no END line"),
            (creds(jwt: "ey.J0"), "the JWT is malformed"),
            (creds(jwt: "a.b.c"), "the JWT is malformed"), (creds(jwt: token("[]")), "the JWT is malformed"),
            (creds(jwt: "!" + jwt), "the JWT is malformed"),
            (creds(jwt: token(#"{"nats":{"type":"account"}}"#)), "not for a user but for: account"),
            (creds(jwt: token(#"{"sub":"UX"}"#)), "but the JWT to UX"),
            (creds(seed: "SUX"), "NKey"), (creds(seed: NKeyTests.publicKey), "the public key of a user"),
        ]) func lacking(_ text: String, _ reason: String)
    {
        let error = #expect(throws: NATSError.self) { try CredentialsFile(content: Array(text.utf8), now: Self.now) }
        #expect(error?.kind == .configuration)
        #expect(error?.reason.contains(reason) == true, "\(String(describing: error))")
        #expect(error?.reason.contains(NKeyTests.seed.dropFirst(3)) == false)
    }

    @Test(
        "a seed file holds a bare seed, one among comments, or a decorated one",
        arguments: [NKeyTests.seed, "# the seed\n\n  \(NKeyTests.seed)  \n", "// x\r\n\(NKeyTests.seed)\r\n", creds()])
    func seed(_ text: String) throws {
        #expect(try SeedFile(content: Array(text.utf8)).key.publicKey == NKeyTests.publicKey)
    }

    @Test("a seed file without a seed is reported as such") func noSeed() {
        for (text, reason) in [
            ("", "no NKey seed"), ("# only\n", "no NKey seed"), ("-----BEGIN USER NKEY SEED-----\nSU", "no END line"), ("hello", "NKey"),
        ] {
            let error = #expect(throws: NATSError.self) { try SeedFile(content: Array(text.utf8)) }
            #expect(error?.reason.contains(reason) == true, "\(String(describing: error))")
        }
    }

    @Test("credentials never show in descriptions and dumps") func secret() throws {
        let file = try CredentialsFile(content: Array(Self.creds().utf8), now: Self.now)
        var dumped = ""
        dump(file, to: &dumped)
        dump(NATSOptions.Credentials.userPassword(user: "u", password: "hush"), to: &dumped)
        dump([NATSOptions.Credentials.token("hush")], to: &dumped)
        dumped +=
            "\(file) \(NATSOptions.Credentials.token("hush")) \(String(reflecting: NATSOptions.Credentials.userPassword(user: "u", password: "hush")))"
        #expect(!dumped.contains("hush") && !dumped.contains(Self.jwt) && !dumped.contains(NKeyTests.seed))
    }

    // MARK: On disk

    @Test("reading a credentials file also finds out whether other users can access it") func modes() throws {
        try withFolder { folder in
            let path = folder + "/user.creds"
            for (mode, isOpen) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
                #expect(
                    FileManager.default.createFile(atPath: path, contents: Data(Self.creds().utf8), attributes: [.posixPermissions: mode]))
                #expect(try CredentialsFile(path: path, now: Self.now).isReadableByOthers == isOpen)
                #expect(try SeedFile(path: path).isReadableByOthers == isOpen)
                #expect(NATSOptions.Credentials.credentialsFile(path).fileReadableByOthers == (isOpen ? path : nil))
                #expect(NATSOptions.Credentials.nkey(seedFile: path).fileReadableByOthers == (isOpen ? path : nil))
                try FileManager.default.removeItem(atPath: path)
            }
            #expect(NATSOptions.Credentials.nkey(seedFile: path).fileReadableByOthers == nil)
        }
    }

    @Test("the error for an unreadable credentials file gives the path and the reason") func unreadable() throws {
        try withFolder { folder in
            mkfifo(folder + "/fifo", 0o600)
            #expect(
                FileManager.default.createFile(atPath: folder + "/large", contents: Data(repeating: 10, count: SecretFile.maximumSize + 1)))
            #expect(FileManager.default.createFile(atPath: folder + "/fits", contents: Data(repeating: 10, count: SecretFile.maximumSize)))
            for (name, reason) in [
                ("missing", "No such file or directory"), ("", "Is a directory"), ("fifo", "Not a regular file"),
                ("large", "larger than 64 KiB"),
                ("fits", "the file has no NKey seed"),
            ] {
                let error = #expect(throws: NATSError.self) { try SeedFile(path: "\(folder)/\(name)") }
                #expect(error?.kind == .configuration)
                #expect(error?.reason.hasSuffix(reason) == true && error?.location == "\(folder)/\(name)", "\(String(describing: error))")
            }
        }
    }

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "qq-\(UUID().uuidString)").path()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }
}
