import GRPCCore
import QQCore
import QQNetwork
import SwiftProtobuf
import Synchronization

/// A stream of messages to a server, whose answers are given to the functions that it was opened with.
public final class GRPCStream<Request: SwiftProtobuf.Message>: Sendable {
    /// The server, as host:port.
    public let endpoint: String
    private let outgoing: OutgoingQueue
    private let maximumMessage: Int
    private let end: StreamEnd

    init(_ endpoint: String, _ outgoing: OutgoingQueue, maximumMessage: Int, _ end: StreamEnd) {
        self.endpoint = endpoint
        self.outgoing = outgoing
        self.maximumMessage = maximumMessage
        self.end = end
    }

    deinit { cancel() }

    /// Sends a message as soon as those before it are written. Does not wait.
    /// - Returns: false if too many messages are waiting, or the message is too large: it is not sent then. After the end of the stream
    ///   messages are discarded.
    public func send(_ message: Request) -> Bool {
        guard let bytes: [UInt8] = try? message.serializedBytes(), bytes.count <= maximumMessage else { return false }
        return outgoing.add(bytes)
    }

    /// Ends the stream. Its end is not reported; a message that is being received right now still is.
    public func cancel() { end.cancel() }
}

/// The end of a stream: whatever comes first ends it, and is reported.
final class StreamEnd: Sendable {
    private struct State {
        var isOver = false
        var task: Task<Void, Never>?
        var report: (@Sendable (GRPCFailure) -> Void)?
    }

    private let state: Mutex<State>

    init(_ report: @escaping @Sendable (GRPCFailure) -> Void) { state = Mutex(State(report: report)) }

    var isOver: Bool { state.withLock { $0.isOver } }

    /// Notes the task that serves the stream, to be cancelled at the end.
    func serve(_ task: Task<Void, Never>) {
        let isOver = state.withLock { state in
            if !state.isOver { state.task = task }
            return state.isOver
        }
        if isOver { task.cancel() }
    }

    /// Ends and reports, unless the stream has ended.
    func fail(_ failure: GRPCFailure) { finish()?(failure) }

    func cancel() { _ = finish() }

    private func finish() -> (@Sendable (GRPCFailure) -> Void)? {
        let (task, report) = state.withLock { state in
            defer { state = State(isOver: true) }
            return (state.task, state.report)
        }
        task?.cancel()
        return report
    }
}

extension GRPCEndpoint {
    /// Opens a stream in both directions. Does not wait: the connection is made if there is none.
    ///
    /// - Parameters:
    ///   - metadata: of the call, such as a token.
    ///   - limit: number of messages that can wait to be sent.
    ///   - deadline: time at which the stream fails if the server has not sent a message by then.
    ///   - receive: called with each message in order, on the network thread. Nothing more is read until it returns.
    ///   - ended: called once, when the stream has ended otherwise than by `cancel`: by the server, or because the connection failed. Neither
    ///     function is called before this returns, unless it is the network thread that calls it.
    public func open<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ method: MethodDescriptor, sending _: Request.Type, metadata: Metadata = [:], limit: Int, answerBy deadline: BootInstant,
        receive: @escaping @Sendable (Response) -> Void, ended: @escaping @Sendable (GRPCFailure) -> Void
    ) -> GRPCStream<Request> {
        let (outgoing, end) = (OutgoingQueue(limit: limit), StreamEnd(ended))
        let place = host.description
        let stream = GRPCStream<Request>(place, outgoing, maximumMessage: settings.maximumMessage, end)
        let connection: Connection
        do throws(GRPCFailure) { connection = try self.connection() } catch {
            // Not before this returns: the caller might hold a lock that `ended` takes.
            NetworkThread.eventLoop.execute { end.fail(error) }
            return stream
        }
        let sent = Flag()
        // As with single calls, a call that waits for its connection is not always woken: the deadline does not rely on that.
        let watch = deadlines.watch(until: deadline) { [weak self] in
            guard !end.isOver else { return }
            self?.drop(connection)
            end.fail(
                GRPCFailure(
                    .deadlineExceeded, "no answer in time", at: place, wasSent: sent.isSet, isAnswer: false, tls: connection.tls?.failure))
        }
        end.serve(
            Task(executorPreference: NetworkThread.executor) { [weak self, deadlines, settings] in
                let answered: @Sendable () -> Void = {
                    connection.isProven.store(true, ordering: .relaxed)
                    deadlines.forget(watch)
                }
                let failure = await Self.serve(
                    method, metadata, over: connection, outgoing, sent, limit: settings.maximumMessage, at: place
                ) { bytes in
                    guard !end.isOver else { throw CancellationError() }
                    answered()
                    guard let message = try? Response(serializedBytes: bytes) else {
                        throw RPCError(code: .dataLoss, message: GRPCFailure.undecodable)
                    }
                    receive(message)
                }
                deadlines.forget(watch)
                if !failure.isAnswer, !end.isOver { self?.drop(connection) }
                end.fail(failure)
            })
        return stream
    }

    /// Writes and reads until the stream ends.
    /// - Returns: why it ended.
    private static func serve(
        _ method: MethodDescriptor, _ metadata: Metadata, over connection: Connection, _ outgoing: OutgoingQueue, _ sent: Flag, limit: Int,
        at place: String, _ receive: @escaping @Sendable ([UInt8]) throws -> Void
    ) async -> GRPCFailure {
        var options = CallOptions.defaults
        options.maxRequestMessageBytes = limit
        options.maxResponseMessageBytes = limit
        do {
            try await connection.transport.withStream(descriptor: method, options: options) { stream, _ in
                let outbound = stream.outbound
                try await outbound.write(.metadata(metadata))
                sent.set()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        do {
                            for await _ in outgoing.rings {
                                let messages = outgoing.takeAll()
                                guard !messages.isEmpty else { continue }
                                try await outbound.write(contentsOf: messages.map { .message(Transport.Bytes($0)) })
                            }
                        } catch {
                            // The reading side knows the reason better.
                            await outbound.finish(throwing: error)
                        }
                    }
                    // At the end, whether by an error or not, the group waits for the writer, which would wait for messages.
                    defer { group.cancelAll() }
                    for try await part in stream.inbound {
                        switch part {
                        case .metadata: break
                        case .message(let bytes): try receive(bytes.withUnsafeBytes { Array($0) })
                        case .status(let status, let metadata): if let error = RPCError(status: status, metadata: metadata) { throw error }
                        }
                    }
                }
            }
            return GRPCFailure(.unavailable, "the server ended the stream", at: place, wasSent: true)
        } catch { return connection.failure(error, at: place, wasSent: sent.isSet) }
    }
}
