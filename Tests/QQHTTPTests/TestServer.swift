import NIOCore
import NIOHPACK
import NIOHTTP1
import NIOHTTP2
import NIOPosix
import NIOSSL
import NIOTLS
import QQHTTP
import QQNetwork
import Support
import Synchronization

/// A request as a server received it.
struct TestRequest: Sendable {
    var method: String
    var target: String
    var fields: [String: String]
    var body: [UInt8]
    /// Number of the connection, from 1.
    var connection: Int
    var isHTTP2: Bool
}

/// What a server does about a request.
enum TestReply: Sendable {
    case answer(Int, String, fields: [String: String] = [:])
    /// An answer whose pieces come later, with `push`.
    case stream(Int = 200)
    /// A body of this many bytes.
    case flood(Int)
    /// A head of some 90 KiB, which HTTP/2 compresses to 3 KiB.
    case largeHead
    case silence
    /// Ends the connection.
    case cut
    /// Ends the connection in the middle of the answer (HTTP/1.1), or before it (HTTP/2).
    case cutAnswer
    /// Ends the stream with this code (HTTP/2).
    case reset(HTTP2ErrorCode)
    /// Ends the connection for later requests, and answers this one (HTTP/2).
    case goAwayAndAnswer(String)
    /// Ends the connection, and processes neither this request nor later ones (HTTP/2).
    case goAwayBefore
}

/// An HTTP server on 127.0.0.1, over HTTP/2 if TLS is used and the client offers it.
final class TestServer: Sendable {
    struct Settings: Sendable {
        var certificates: Certificates.Pair?
        /// PEM file of the authority of client certificates, which are required then.
        var clientAuthority: String?
        var protocols = ["h2", "http/1.1"]
        /// Largest number of streams of a connection at a time.
        var maximumStreams = 100
        /// Least version of TLS.
        var isTLS12 = false
    }

    /// A streamed answer that is open.
    struct Writer: Sendable {
        var write: @Sendable (String) -> Void
        var end: @Sendable () -> Void
    }

    private struct State {
        var requests: [TestRequest] = []
        var connections = 0
        var live: [Int: any Channel] = [:]
        var names: [String?] = []
        var writers: [String: Writer] = [:]
        var flooded = 0
        var goAway: [Int: @Sendable () -> Void] = [:]
    }

    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    private let state = Mutex(State())
    private let settings: Settings
    fileprivate let answer: @Sendable (TestRequest) -> TestReply
    private let listener = Mutex<(any Channel)?>(nil)
    let port: Int

    init(
        _ settings: Settings = Settings(), in box: Sandbox,
        answer: @escaping @Sendable (TestRequest) -> TestReply = { .answer(200, "\($0.method) \($0.target)") }
    ) async throws {
        self.settings = settings
        self.answer = answer
        let context = try Self.context(settings)
        let me = Mutex<TestServer?>(nil)
        let channel = try await ServerBootstrap(group: Self.group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                guard let server = me.withLock({ $0 }) else { return channel.close() }
                return channel.eventLoop.makeCompletedFuture { try server.accept(channel, context) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
        listener.withLock { $0 = channel }
        me.withLock { $0 = self }
        box.atClose { [self] in
            channel.close(promise: nil)
            cut()
            me.withLock { $0 = nil }
        }
    }

    private static func context(_ settings: Settings) throws -> NIOSSLContext? {
        guard let pair = settings.certificates else { return nil }
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(pair.certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: pair.key, format: .pem)))
        tls.applicationProtocols = settings.protocols
        if settings.isTLS12 { tls.maximumTLSVersion = .tlsv12 }
        if let authority = settings.clientAuthority {
            tls.certificateVerification = .noHostnameVerification
            tls.trustRoots = .file(authority)
        }
        return try NIOSSLContext(configuration: tls)
    }

    private func accept(_ channel: any Channel, _ context: NIOSSLContext?) throws {
        let number = state.withLock { state in
            state.connections += 1
            state.live[state.connections] = channel
            return state.connections
        }
        channel.closeFuture.whenComplete { _ in self.state.withLock { $0.live[number] = nil } }
        let pipeline = channel.pipeline.syncOperations
        guard let context else { return try configure(channel, number, isHTTP2: false) }
        try pipeline.addHandler(
            NIOSSLServerHandler(context: context))
        try pipeline.addHandler(
            ApplicationProtocolNegotiationHandler { (result: ALPNResult, channel: any Channel) in
                channel.eventLoop.makeCompletedFuture {
                    let isHTTP2 = if case .negotiated("h2") = result { true } else { false }
                    try self.configure(channel, number, isHTTP2: isHTTP2)
                }
            })
    }

    private func configure(_ channel: any Channel, _ number: Int, isHTTP2: Bool) throws {
        let pipeline = channel.pipeline.syncOperations
        if isHTTP2 {
            let settings = [HTTP2Setting(parameter: .maxConcurrentStreams, value: settings.maximumStreams)]
            try pipeline.addHandler(NIOHTTP2Handler(mode: .server, initialSettings: settings))
            let handler = HTTP2Handler(self, number, channel)
            try pipeline.addHandler(handler)
            let bound = NIOLoopBound(handler, eventLoop: channel.eventLoop)
            state.withLock { $0.goAway[number] = { channel.eventLoop.execute { bound.value.goAway(last: nil) } } }
        } else {
            try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false)
            try pipeline.addHandler(HTTP1Handler(self, number, channel))
        }
    }

    // MARK: What tests see and do

    var requests: [TestRequest] { state.withLock { $0.requests } }
    var targets: [String] { requests.map(\.target) }
    /// Number of connections that were accepted.
    var connections: Int { state.withLock { $0.connections } }
    /// Number of connections that are open.
    var live: Int { state.withLock { $0.live.count } }
    /// Number of streamed answers that are open.
    var open: Int { state.withLock { $0.writers.count } }
    /// Number of bytes of floods that were written.
    var flooded: Int { state.withLock { $0.flooded } }

    /// Sends text to all open streamed answers.
    func push(_ text: String) { for writer in state.withLock({ Array($0.writers.values) }) { writer.write(text) } }
    /// Ends all open streamed answers.
    func finish() { for writer in state.withLock({ Array($0.writers.values) }) { writer.end() } }
    /// Announces the end of all connections.
    func goAway() { for action in state.withLock({ Array($0.goAway.values) }) { action() } }
    /// Ends all connections.
    func cut() { for channel in state.withLock({ Array($0.live.values) }) { channel.close(promise: nil) } }
    /// Refuses further connections.
    func stopListening() async throws { try await listener.withLock { $0 }?.close().get() }

    fileprivate func received(_ request: TestRequest) -> TestReply {
        state.withLock { $0.requests.append(request) }
        return answer(request)
    }

    fileprivate func opened(_ name: String, _ writer: Writer) { state.withLock { $0.writers[name] = writer } }
    fileprivate func closed(_ name: String) { state.withLock { $0.writers[name] = nil } }
    fileprivate func flooded(_ count: Int) { state.withLock { $0.flooded += count } }
}

// MARK: - HTTP/1.1

private final class HTTP1Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let server: TestServer
    private let number: Int
    private let channel: any Channel
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    private var flood = 0

    init(_ server: TestServer, _ number: Int, _ channel: any Channel) {
        self.server = server
        self.number = number
        self.channel = channel
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
        case .body(let bytes): body += Array(bytes.readableBytesView)
        case .end:
            guard let head else { return }
            let fields = Dictionary(head.headers.map { ($0.name.lowercased(), $0.value) }) { "\($0), \($1)" }
            reply(
                server.received(
                    TestRequest(
                        method: head.method.rawValue, target: head.uri, fields: fields, body: body, connection: number, isHTTP2: false)))
        }
    }

    private func reply(_ reply: TestReply) {
        switch reply {
        case .answer(let status, let text, let fields):
            begin(status, fields.map { ($0, $1) } + [("content-length", "\(text.utf8.count)")])
            write(text)
            end()
        case .stream(let status):
            // The client can be faster than this, once it has the head.
            defer {
                begin(status, [("transfer-encoding", "chunked")])
                channel.flush()
            }
            let bound = NIOLoopBound(self, eventLoop: channel.eventLoop)
            let loop = channel.eventLoop
            server.opened(
                "\(number)",
                .init { text in
                    loop.execute { bound.value.write(text) }
                } end: {
                    loop.execute {
                        bound.value.end()
                        bound.value.server.closed("\(bound.value.number)")
                    }
                })
        case .flood(let count):
            begin(200, [("content-length", "\(count)")])
            flood = count
            pump()
        case .largeHead:
            begin(200, largeFields + [("content-length", "0")])
            end()
        case .silence: break
        case .cutAnswer:
            begin(200, [("content-length", "100")])
            write("part")
            channel.close(promise: nil)
        case .cut, .reset, .goAwayAndAnswer, .goAwayBefore: channel.close(promise: nil)
        }
    }

    private func begin(_ status: Int, _ fields: [(String, String)]) {
        let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: HTTPHeaders(fields))
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
    }

    private func write(_ text: String) {
        channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: text))), promise: nil)
    }
    private func end() { channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil) }

    private func pump() {
        while flood > 0, channel.isWritable {
            let piece = min(flood, 16_384)
            flood -= piece
            server.flooded(piece)
            write(floodText(piece))
            if flood == 0 { end() }
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) { pump() }

    func channelInactive(context: ChannelHandlerContext) {
        server.closed("\(number)")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

private let largeFields = [(String, String)](repeating: ("x-much", String(repeating: "y", count: 3_000)), count: 30)

/// Lines of 4 KiB.
private func floodText(_ count: Int) -> String {
    String(repeating: String(repeating: "x", count: 4095) + "\n", count: count / 4096 + 1).prefixText(count)
}

extension String {
    fileprivate func prefixText(_ count: Int) -> String { String(decoding: utf8.prefix(count), as: UTF8.self) }
}

// MARK: - HTTP/2

private final class HTTP2Handler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private let server: TestServer
    private let number: Int
    private let channel: any Channel
    private var open: [HTTP2StreamID: (HPACKHeaders, [UInt8])] = [:]
    private var last = HTTP2StreamID.rootStream
    private var isClosing = false

    init(_ server: TestServer, _ number: Int, _ channel: any Channel) {
        self.server = server
        self.number = number
        self.channel = channel
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let content):
            open[frame.streamID] = (content.headers, [])
            if content.endStream { finished(frame.streamID) }
        case .data(let content):
            if case .byteBuffer(let bytes) = content.data {
                open[frame.streamID]?.1 += Array(bytes.readableBytesView)
                let increment = HTTP2Frame.FramePayload.windowUpdate(windowSizeIncrement: max(1, bytes.readableBytes))
                write(.rootStream, increment)
                if !content.endStream { write(frame.streamID, increment) }
            }
            if content.endStream { finished(frame.streamID) }
        default: break
        }
    }

    private func finished(_ id: HTTP2StreamID) {
        guard let (headers, body) = open.removeValue(forKey: id) else { return }
        last = id
        let fields = Dictionary(headers.map { ($0.name, $0.value) }) { "\($0), \($1)" }
        let reply = server.received(
            TestRequest(
                method: fields[":method"] ?? "", target: fields[":path"] ?? "", fields: fields, body: body, connection: number,
                isHTTP2: true))
        switch reply {
        case .answer(let status, let text, let fields): answer(id, status, text, fields.map { ($0, $1) })
        case .largeHead: answer(id, 200, "", largeFields)
        case .stream(let status):
            defer { begin(id, status, isLast: false) }
            let bound = NIOLoopBound(self, eventLoop: channel.eventLoop)
            let loop = channel.eventLoop
            let name = "\(number)/\(Int(id))"
            server.opened(
                name,
                .init { text in
                    loop.execute { bound.value.write(id, text, isLast: false) }
                } end: {
                    loop.execute {
                        bound.value.write(id, "", isLast: true)
                        bound.value.server.closed(name)
                    }
                })
        case .flood(let count):
            begin(id, 200, isLast: false)
            // The library keeps what the windows do not allow yet.
            pump(id, count)
        case .silence: break
        case .cut, .cutAnswer: channel.close(promise: nil)
        case .reset(let code): write(id, .rstStream(code))
        case .goAwayAndAnswer(let text):
            goAway(last: id)
            answer(id, 200, text)
        case .goAwayBefore: goAway(last: HTTP2StreamID(max(0, Int(id) - 2)))
        }
    }

    private func pump(_ id: HTTP2StreamID, _ count: Int) {
        let piece = min(count, 16_384)
        let promise = channel.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenSuccess {
            self.server.flooded(piece)
            if count > piece { self.pump(id, count - piece) }
        }
        let bytes = ByteBuffer(string: floodText(piece))
        channel.writeAndFlush(
            HTTP2Frame(streamID: id, payload: .data(.init(data: .byteBuffer(bytes), endStream: piece == count))), promise: promise)
    }

    func goAway(last: HTTP2StreamID?) {
        write(.rootStream, .goAway(lastStreamID: last ?? self.last, errorCode: .noError, opaqueData: nil))
        isClosing = true
    }

    private func answer(_ id: HTTP2StreamID, _ status: Int, _ text: String, _ fields: [(String, String)] = []) {
        begin(id, status, fields, isLast: text.isEmpty)
        if !text.isEmpty { write(id, text, isLast: true) }
    }

    private func begin(_ id: HTTP2StreamID, _ status: Int, _ fields: [(String, String)] = [], isLast: Bool) {
        var headers = HPACKHeaders([(":status", "\(status)")])
        for (name, value) in fields { headers.add(name: name, value: value) }
        write(id, .headers(.init(headers: headers, endStream: isLast)))
    }

    private func write(_ id: HTTP2StreamID, _ text: String, isLast: Bool) {
        write(id, .data(.init(data: .byteBuffer(ByteBuffer(string: text)), endStream: isLast)))
    }

    private func write(_ id: HTTP2StreamID, _ payload: HTTP2Frame.FramePayload) {
        channel.writeAndFlush(HTTP2Frame(streamID: id, payload: payload), promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? StreamClosedEvent {
            open[event.streamID] = nil
            server.closed("\(number)/\(Int(event.streamID))")
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        for id in 0...Int(last) { server.closed("\(number)/\(id)") }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if !(error is NIOHTTP2Errors.StreamError) { context.close(promise: nil) }
    }
}
