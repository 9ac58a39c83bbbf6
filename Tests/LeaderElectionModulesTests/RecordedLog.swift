import Logging
import Synchronization

/// The lines that a logger has written, for tests.
final class RecordedLog: Sendable {
    struct Line: Sendable, Equatable {
        var level: Logger.Level
        var message: String
        var metadata: [String: String]
    }

    private let written = Mutex<[Line]>([])

    var lines: [Line] { written.withLock { $0 } }
    var messages: [String] { lines.map(\.message) }

    func first(_ message: String) -> Line? { lines.first { $0.message.contains(message) } }

    /// A logger that writes every level here.
    var logger: Logger {
        var logger = Logger(label: "test") { _ in Handler(log: self) }
        logger.logLevel = .trace
        return logger
    }

    private struct Handler: LogHandler {
        let log: RecordedLog
        var logLevel = Logger.Level.trace
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.MetadataValue? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let all = metadata.merging(event.metadata ?? [:]) { $1 }
            log.written.withLock { $0.append(Line(level: event.level, message: "\(event.message)", metadata: all.mapValues { "\($0)" })) }
        }
    }
}
