import QQCore
import Testing

@testable import LeaderElection

@Suite("Coordinators from server URLs and options") struct ConnectorTests {
    private func connect(_ server: String, _ options: ElectionOptions = ElectionOptions()) throws(ElectionError) -> Connected {
        var options = options
        options.readsEnvironment = false
        return try Connector.coordinator(for: server, options: options, clock: ContinuousLeaseClock(), executor: globalConcurrentExecutor)
    }

    private func problem(_ server: String, _ options: ElectionOptions = ElectionOptions()) -> ElectionError? {
        do throws(ElectionError) {
            _ = try connect(server, options)
            return nil
        } catch { return error }
    }

    @Test("a folder needs nothing else, and has the common defaults") func files() throws {
        let made = try connect("file:///leases")
        #expect(made.coordinator.server.description == "file:///leases")
        #expect(made.ttl == .seconds(15) && !made.identity.isEmpty)
        #expect(made.retry.initial == .milliseconds(200) && made.retry.maximum == .seconds(5) && made.retry.jitter == 0.2)
    }

    @Test("identity and TTL of the options come before those of the system") func given() throws {
        let made = try connect("/leases", ElectionOptions(identity: "me", ttl: .seconds(3)))
        #expect(made.identity == "me" && made.ttl == .seconds(3))
    }

    @Test("a text that is no server URL is refused, and not repeated") func unknown() {
        let error = problem("://user:s3cret@host")
        #expect(error?.kind == .usage && error.map { "\($0) \($0.hint ?? "")" }?.contains("s3cret") == false)
    }

    @Test("options of URLs that have none are refused") func option() {
        let error = problem("file:///leases?ttl=3")
        #expect(error?.kind == .configuration && error?.reason.contains("'ttl'") == true)
    }

    @Test("a login that a system does not have is refused, without the secret") func login() {
        let error = problem("file:///leases", ElectionOptions(credentials: .token("s3cret")))
        #expect(error?.kind == .usage && error.map { "\($0) \($0.hint ?? "")" }?.contains("s3cret") == false)
    }

    @Test("a limit on messages that makes no sense is refused", arguments: [0, -1, .max]) func messages(limit: Int) {
        #expect(problem("file:///leases", ElectionOptions(maximumMessage: limit))?.kind == .usage)
    }

    @Test("no hint is about a command line") func hints() {
        let error = ElectionError(forPrograms: CoordinationError(.configuration, "x", because: "y", hint: "or use --login-file FILE"))
        #expect(error.hint == nil)
        #expect(ElectionError(forPrograms: CoordinationError(.configuration, "x", because: "y", hint: "try again")).hint == "try again")
    }
}

@Suite("Systems that a build leaves out") struct MissingSystemTests {
    @Test("the systems of this build and those that it leaves out are seven") func all() {
        #expect(SystemConnector.all.count + MissingSystem.all.count == 7)
        let schemes = SystemConnector.all.flatMap { $0.url.schemes.map(\.name) } + MissingSystem.all.flatMap(\.schemes)
        #expect(Set(schemes).count == schemes.count)
    }

    @Test("the error names the trait") func trait() {
        for system in MissingSystem.all {
            for scheme in system.schemes {
                let found = MissingSystem.of(scheme.uppercased() + "://user:s3cret@host")
                #expect(found?.name == system.name)
                #expect(found?.error.kind == .unsupported && found?.error.hint?.contains(system.trait) == true)
            }
        }
    }
}

#if NATS && GRPC && Consul
    @testable import QQConsul
    import QQEtcd
    import QQNATS
    import QQNetwork

    @Suite("Logins and TLS of the options") struct OptionsOfSystemsTests {
        private func access(_ server: String, _ options: ElectionOptions) throws -> ServerAccess {
            ServerAccess(try ServerURL.parse(server, as: SystemConnector.all.map(\.url)), options)
        }

        @Test("NATS takes each of its logins from the options or the URL, but not from both") func nats() throws {
            func settings(_ server: String, _ credentials: ElectionOptions.Credentials) throws -> NATSSettings {
                try NATSSettings(try access(server, ElectionOptions(credentials: credentials))) { _ in nil }
            }
            #expect(try settings("nats://h", .user("u", password: "p")).options.credentials == .userPassword(user: "u", password: "p"))
            #expect(try settings("nats://h", .token("t")).options.credentials == .token("t"))
            #expect(try settings("nats://h", .credentialsFile("/c")).options.credentials == .credentialsFile("/c"))
            #expect(try settings("nats://h", .nkeyFile("/n")).options.credentials == .nkey(seedFile: "/n"))
            #expect(try settings("nats://t@h", .none).options.credentials == .token("t"))
            let error = #expect(throws: CoordinationError.self) { try settings("nats://t@h", .credentialsFile("/c")) }
            #expect(error?.reason.contains("the server URL, the options") == true)
            #expect(throws: CoordinationError.self) { try settings("nats://h", .loginFile("/l")) }
        }

        @Test("the options come before the environment") func environment() throws {
            let given = try access("nats://h", ElectionOptions(credentials: .token("ours")))
            #expect(try NATSSettings(given) { $0 == "QQ_NATS_TOKEN" ? "theirs" : nil }.options.credentials == .token("ours"))
            let none = try access("nats://h", ElectionOptions())
            #expect(try NATSSettings(none) { $0 == "QQ_NATS_TOKEN" ? "theirs" : nil }.options.credentials == .token("theirs"))
        }

        @Test("etcd takes a user and a password") func etcd() throws {
            let given = try access("etcd://h", ElectionOptions(credentials: .user("u", password: "p")))
            #expect(try EtcdOptions(given) { _ in nil }.login == EtcdLogin(user: "u", password: "p"))
            let both = try access("etcd://a:b@h", ElectionOptions(credentials: .user("u", password: "p")))
            #expect(throws: CoordinationError.self) { try EtcdOptions(both) { _ in nil } }
        }

        @Test("Consul takes a token, and a user of a proxy in front of the agents") func consul() throws {
            let token = try access("consul://h", ElectionOptions(credentials: .token("t\n")))
            #expect(try ConsulAccess(token) { _ in nil }.token == .secret(Secret("t")))
            let user = try access("consul://h", ElectionOptions(credentials: .user("u", password: "p")))
            #expect(try ConsulAccess(user) { _ in nil }.basicLogin == Secret("u:p"))
        }

        @Test("TLS of the options requests TLS, and hints name the options") func tls() throws {
            let given = try access("etcd://h", ElectionOptions(tls: .init(authority: "/ca", serverName: "name")))
            let tls = try #require(try EtcdOptions(given) { _ in nil }.tls)
            #expect(tls.authority?.location == "/ca" && tls.authority?.hint == "tls.authority takes a file in PEM form")
            #expect(tls.serverName == "name" && !tls.hints.authority.contains("--"))
            #expect(try EtcdOptions(try access("etcd://h", ElectionOptions())) { _ in nil }.tls == nil)
        }
    }
#endif
