import NIOCore
import NIOPosix
import NIOSSL
import QQCore
import QQHTTP
import QQNetwork
import Support
import Synchronization
import Testing

/// A proxy whose words a test gives. After the last of them it passes on everything.
final class TestProxy: Sendable {
    /// What the proxy answers to what it has received so far in this step; nil if that is not complete.
    typealias Step = @Sendable ([UInt8]) -> [UInt8]?

    let port: Int
    private let received = Mutex<[[UInt8]]>([])
    /// What clients said in each step.
    var words: [String] { received.withLock { $0 }.map { String(decoding: $0, as: UTF8.self) } }
    var bytes: [[UInt8]] { received.withLock { $0 } }

    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    init(_ steps: [Step], to upstream: Int?, _ pair: Certificates.Pair? = nil, in box: Sandbox) async throws {
        let me = Mutex<TestProxy?>(nil)
        let tls = try pair.map { pair in
            try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: try NIOSSLCertificate.fromPEMFile(pair.certificate).map { .certificate($0) },
                    privateKey: .privateKey(try NIOSSLPrivateKey(file: pair.key, format: .pem))))
        }
        let channel = try await ServerBootstrap(group: Self.group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let proxy = me.withLock({ $0 }) else { return }
                    if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
                    try channel.pipeline.syncOperations.addHandler(Handler(proxy, steps, upstream))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
        me.withLock { $0 = self }
        box.atClose {
            channel.close(promise: nil)
            me.withLock { $0 = nil }
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let proxy: TestProxy
        private var steps: [Step]
        private let upstream: Int?
        private var bytes: [UInt8] = []
        private var peer: (any Channel)?

        init(_ proxy: TestProxy, _ steps: [Step], _ upstream: Int?) {
            self.proxy = proxy
            self.steps = steps
            self.upstream = upstream
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            if let peer { return peer.writeAndFlush(buffer, promise: nil) }
            bytes += Array(buffer.readableBytesView)
            guard let step = steps.first, let answer = step(bytes) else { return }
            proxy.received.withLock { $0.append(bytes) }
            bytes = []
            steps.removeFirst()
            guard steps.isEmpty, let upstream else {
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: answer)), promise: nil)
                if steps.isEmpty { context.close(promise: nil) }
                return
            }
            let (channel, bound) = (context.channel, NIOLoopBound(self, eventLoop: context.eventLoop))
            ClientBootstrap(group: context.eventLoop)
                .channelInitializer { $0.pipeline.addHandler(Back(channel)) }
                .connect(host: "127.0.0.1", port: upstream).whenSuccess { peer in
                    bound.value.peer = peer
                    channel.writeAndFlush(ByteBuffer(bytes: answer), promise: nil)
                }
        }

        func channelInactive(context: ChannelHandlerContext) { peer?.close(promise: nil) }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private final class Back: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        private let client: any Channel

        init(_ client: any Channel) { self.client = client }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { client.writeAndFlush(unwrapInboundIn(data), promise: nil) }
        func channelInactive(context: ChannelHandlerContext) { client.close(promise: nil) }
    }
}

@Suite("Proxies before an HTTP server", .serialized) struct ProxyTests {
    private static func answersHead(with answer: String) -> TestProxy.Step {
        { String(decoding: $0, as: UTF8.self).hasSuffix("\r\n\r\n") ? Array(answer.utf8) : nil }
    }

    private static func answers(_ count: Int, with answer: [UInt8]) -> TestProxy.Step { { $0.count >= count ? answer : nil } }

    private static let connected = "HTTP/1.1 200 Connection established\r\nX-Proxy: y\r\n\r\n"

    private func proxied(_ fixture: Fixture, _ port: Int, _ scheme: HTTPProxy.Scheme, by proxy: Int, login: HTTPProxy.Login? = nil)
        -> HTTPEndpoint
    {
        fixture.endpoint(port) { $0.proxy = HTTPProxy(scheme, host: "127.0.0.1", port: proxy, login: login) }
    }

    @Test(arguments: Version.allCases) func `an HTTP proxy connects, and sees neither request nor answer if TLS is used`(version: Version)
        async throws
    {
        try await withFixture(version) { fixture in
            let server = try await fixture.server()
            let proxy = try await TestProxy([Self.answersHead(with: Self.connected)], to: server.port, in: fixture.box)
            let endpoint = proxied(fixture, server.port, .http, by: proxy.port, login: .init(user: "ann", password: "p:w"))
            #expect(try await endpoint.text("/x") == "GET /x")
            let host = "127.0.0.1:\(server.port)"
            #expect(
                proxy.words == [
                    "CONNECT \(host) HTTP/1.1\r\nHost: \(host)\r\nProxy-Authorization: Basic \(Base64.encode(Array("ann:p:w".utf8)))\r\n\r\n"
                ])
            #expect(server.requests.allSatisfy { $0.fields["proxy-authorization"] == nil })
        }
    }

    @Test(arguments: Version.allCases) func `a proxy is reached over TLS, whose certificate is checked, and so is the server's within`(
        version: Version
    ) async throws {
        try await withFixture(version) { fixture in
            let certificates = try await Certificates(in: fixture.box, name: "proxy", serverNames: "DNS:localhost")
            let server = try await fixture.server()
            let proxy = try await TestProxy([Self.answersHead(with: Self.connected)], to: server.port, certificates.server, in: fixture.box)
            func endpoint(_ host: String, trusting file: String) -> HTTPEndpoint {
                fixture.endpoint(server.port) {
                    $0.tls.authority = .file(file)
                    $0.proxy = HTTPProxy(.https, host: host, port: proxy.port)
                }
            }
            // Both authorities in one file.
            let both = fixture.box.path("both.pem")
            try fixture.box.write(readText(certificates.authority) + (fixture.certificates.map { readText($0.authority) } ?? ""), to: both)
            #expect(try await endpoint("localhost", trusting: both).text("/x") == "GET /x")
            let unnamed = try #require(await endpoint("127.0.0.1", trusting: both).failure("/y"))
            #expect(unnamed.reason == "the proxy's certificate is not for 127.0.0.1, but for localhost" && !unnamed.wasSent, "\(unnamed)")
            let strangers = try await Certificates(in: fixture.box, name: "strangers")
            let untrusted = try #require(await endpoint("localhost", trusting: strangers.authority).failure("/y"))
            #expect(untrusted.reason.hasPrefix("the proxy's certificate is not signed by a trusted authority"), "\(untrusted)")
            #expect(untrusted.endpoint.hasSuffix(":\(proxy.port)"), "\(untrusted)")
            #expect(server.targets == ["/x"] && proxy.words.count == 1)
        }
    }

    @Test func `a proxy without TLS that is to be reached over TLS is not spoken to in plain text`() async throws {
        try await withFixture(.http2) { fixture in
            let server = try await fixture.server()
            let proxy = try await TestProxy([Self.answersHead(with: Self.connected)], to: server.port, in: fixture.box)
            let endpoint = proxied(fixture, server.port, .https, by: proxy.port, login: .init(user: "ann", password: "secret"))
            let failure = try #require(await endpoint.failure("/x", timeout: .milliseconds(700)))
            #expect(!failure.wasSent && proxy.words.isEmpty && server.requests.isEmpty, "\(failure)")
        }
    }

    @Test(arguments: [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy does not accept the user or the password (407)"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "the proxy refused to connect to HOST: 403 Forbidden"),
        ("HTTP/1.0 502 Bad \u{1b}[1mGateway\r\nX: y\r\n\r\n", "the proxy refused to connect to HOST: 502 Bad \\x1b[1mGateway"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "the proxy does not speak HTTP"), ("HTTP/1.1 abc\r\n\r\n", "the proxy does not speak HTTP"),
        ("HTTP/1.1 200 " + String(repeating: "x", count: 20_000), "the proxy does not speak HTTP"), ("", "the proxy ended the connection"),
    ])
    func `an HTTP proxy's refusal is told as such, and without the login`(answer: String, reason: String) async throws {
        try await withFixture(.http2) { fixture in
            let server = try await fixture.server()
            let proxy = try await TestProxy([Self.answersHead(with: answer)], to: nil, in: fixture.box)
            let endpoint = proxied(fixture, server.port, .http, by: proxy.port, login: .init(user: "ann", password: "secret"))
            let failure = try #require(await endpoint.failure("/x", isRepeatable: false))
            #expect(failure.kind == .refusedByProxy && !failure.wasSent)
            #expect(failure.reason == reason.replacingHost("127.0.0.1:\(server.port)"), "\(failure)")
            #expect(failure.endpoint == "http://127.0.0.1:\(proxy.port)" && server.connections == 0)
        }
    }

    @Test(arguments: Version.allCases) func `a SOCKS proxy connects, with a login if it wants one`(version: Version) async throws {
        try await withFixture(version) { fixture in
            let server = try await fixture.server()
            let reply: [UInt8] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]
            let request: [UInt8] = [5, 1, 0, 1, 127, 0, 0, 1, UInt8(server.port >> 8), UInt8(server.port & 255)]
            let plain = try await TestProxy(
                [Self.answers(3, with: [5, 0]), Self.answers(10, with: reply)], to: server.port, in: fixture.box)
            #expect(try await proxied(fixture, server.port, .socks5, by: plain.port).text("/x") == "GET /x")
            #expect(plain.bytes == [[5, 1, 0], request])
            let strict = try await TestProxy(
                [Self.answers(4, with: [5, 2]), Self.answers(8, with: [1, 0]), Self.answers(10, with: reply)], to: server.port,
                in: fixture.box)
            let login = HTTPProxy.Login(user: "ann", password: "pw")
            #expect(try await proxied(fixture, server.port, .socks5, by: strict.port, login: login).text("/y") == "GET /y")
            #expect(strict.bytes == [[5, 2, 0, 2], [1, 3] + Array("ann".utf8) + [2] + Array("pw".utf8), request])
        }
    }

    @Test func `a SOCKS proxy gets the server's name, and its refusal is told as such`() async throws {
        try await withFixture(.plain) { fixture in
            let refusing = try await TestProxy(
                [Self.answers(3, with: [5, 0]), Self.answers(5 + 11 + 2, with: [5, 5, 0, 1, 0, 0, 0, 0, 0, 0])], to: nil, in: fixture.box)
            var settings = HTTPSettings()
            settings.proxy = HTTPProxy(.socks5, host: "127.0.0.1", port: refusing.port)
            let endpoint = HTTPEndpoint(HTTPServer(.http, host: "api.example", port: 80), settings, clock: SystemClock())
            let failure = try #require(await endpoint.failure("/x", isRepeatable: false))
            #expect(
                failure.kind == .refusedByProxy && failure.reason == "the proxy refused to connect to api.example:80: Connection refused")
            #expect(refusing.bytes.last == [5, 1, 0, 3, 11] + Array("api.example".utf8) + [0, 80] && !failure.wasSent)
            for (answer, words) in [([5, 255], "requires a user"), ([4, 0], "does not speak SOCKS 5")] as [([UInt8], String)] {
                let proxy = try await TestProxy([Self.answers(3, with: answer)], to: nil, in: fixture.box)
                settings.proxy = HTTPProxy(.socks5, host: "127.0.0.1", port: proxy.port)
                let other = HTTPEndpoint(HTTPServer(.http, host: "api.example", port: 80), settings, clock: SystemClock())
                let failure = try #require(await other.failure("/x"))
                #expect(failure.kind == .refusedByProxy && failure.reason.contains(words), "\(failure)")
            }
        }
    }

    @Test(arguments: [HTTPProxy.Scheme.http, .socks5]) func `a call ends at its deadline if the proxy says nothing`(
        scheme: HTTPProxy.Scheme
    ) async throws {
        try await withFixture(.http2) { fixture in
            let proxy = try await TestProxy([{ _ in nil }], to: nil, in: fixture.box)
            let failure = try #require(await proxied(fixture, 1, scheme, by: proxy.port).failure("/x", timeout: .milliseconds(400)))
            #expect(failure.kind == .timedOut && !failure.wasSent)
        }
    }

    @Test func `a proxy that does not listen is named`() async throws {
        try await withFixture(.http2) { fixture in
            let proxy = try await TestProxy([], to: nil, in: fixture.box)
            let closed = try Proxy(to: UInt16(proxy.port), in: fixture.box)
            closed.refuse()
            let failure = try #require(await proxied(fixture, 1, .http, by: Int(closed.port)).failure("/x"))
            #expect(failure.kind == .notConnected && failure.reason == "cannot connect to the proxy: Connection refused")
            #expect(failure.endpoint == "http://127.0.0.1:\(closed.port)" && failure.hint?.contains("nothing listens") == true)
        }
    }
}

extension String {
    fileprivate func replacingHost(_ host: String) -> String {
        split(separator: "HOST", omittingEmptySubsequences: false).joined(separator: host)
    }
}
