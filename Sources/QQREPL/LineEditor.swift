import CLineEditor
import Glibc
import QQLoop
import Synchronization

/// Completions for the word at the cursor.
public struct Candidates: Sendable, Equatable {
    /// Whole words without quotes, even if only a part of a word is still to be typed.
    public var words: [String] = []
    /// Whether a space follows the candidate if it is the only one.
    public var ends = true
    /// Whether to offer file names instead.
    public var areFiles = false

    public init(_ words: [String] = [], ends: Bool = true, areFiles: Bool = false) {
        self.words = words
        self.ends = ends
        self.areFiles = areFiles
    }
}

/// The line that the user types, edited by GNU readline through its callback interface, so that events are handled and shown in the
/// meantime.
///
/// There is one terminal and one editor for it, used only on the loop's thread.
public final class LineEditor: Sendable {
    /// - Parameters:
    ///   - before: the line up to the cursor.
    public typealias Complete = @Sendable (_ before: String) -> Candidates
    /// Shows bytes on the terminal. Must not wait for the terminal, which can be stopped.
    public typealias Show = @Sendable ([UInt8]) -> Void

    private struct State {
        var isEditing = false
        /// Entered lines that `line(prompt:)` has not returned yet; nil for the end of input.
        var entered: [String?] = []
        var complete: Complete = { _ in Candidates() }
        var show: Show = { _ in }
        var prompt = ""
    }

    private static let state = Mutex(State())
    private let loop: MainLoop

    public init(name: StaticString, loop: MainLoop, show: @escaping Show, complete: @escaping Complete) {
        self.loop = loop
        Self.state.withLock { state in
            state.complete = complete
            state.show = show
        }
        name.withUTF8Buffer { _ in
            qq_editor_begin(
                name.utf8Start.withMemoryRebound(to: CChar.self, capacity: name.utf8CodeUnitCount + 1) { $0 },
                { line in
                    LineEditor.state.withLock { $0.entered.append(line.map { String(cString: $0) }) }
                    qq_editor_free(line)
                    // Input after the line belongs to the command that the line starts.
                    qq_editor_remove()
                },
                { before, start in
                    guard let before else { return }
                    let complete = LineEditor.state.withLock { $0.complete }
                    let line = String(cString: before)
                    let found = complete(line)
                    if found.areFiles { return qq_editor_offer_files() }
                    let insertion = Insertion(line, Int(start))
                    for text in found.words.compactMap({ insertion.text(of: $0) }) { qq_editor_offer(text, found.ends ? 1 : 0) }
                },
                { bytes, count in
                    guard let bytes else { return }
                    let show = LineEditor.state.withLock { $0.show }
                    show(UnsafeRawBufferPointer(start: bytes, count: count).map { $0 })
                })
        }
    }

    /// Reads a line. `prompt` can contain colours.
    /// - Returns: nil at the end of input (Ctrl-D on an empty line).
    /// - Throws: `CancellationError`; the terminal is given back in that case as well.
    public func line(prompt: String) async throws -> String? {
        Self.state.withLock { state in
            state.isEditing = true
            state.prompt = prompt
        }
        qq_editor_install(Self.marked(prompt))
        defer {
            // Does nothing if a line was entered, because the editor was removed then.
            qq_editor_leave()
            Self.state.withLock { $0.isEditing = false }
        }
        while true {
            if let line = Self.state.withLock({ $0.entered.isEmpty ? nil : .some($0.entered.removeFirst()) }) { return line }
            try await loop.readable(STDIN_FILENO)
            qq_editor_read()
        }
    }

    /// Changes the prompt of the line that is being edited, and keeps the typed text.
    public static func setPrompt(_ prompt: String) {
        let isNew = state.withLock { state in
            defer { state.prompt = prompt }
            return state.isEditing && state.prompt != prompt
        }
        if isNew { qq_editor_set_prompt(marked(prompt)) }
    }

    /// Lets `body` write above the line that is being edited.
    public static func above<Result>(_ body: () throws -> Result) rethrows -> Result {
        guard state.withLock({ $0.isEditing }) else { return try body() }
        qq_editor_hide()
        defer { qq_editor_show() }
        return try body()
    }

    /// Drops the typed text.
    public static func abandon() { if state.withLock({ $0.isEditing }) { qq_editor_abandon() } }

    /// Adapts to a changed terminal size.
    public static func resized() { if state.withLock({ $0.isEditing }) { qq_editor_resized() } }

    /// Marks the colour codes of a prompt, so that readline counts no columns for them.
    static func marked(_ prompt: String) -> String {
        var marked = ""
        var isEscape = false
        for character in prompt.unicodeScalars {
            if character == "\u{1b}" {
                marked.unicodeScalars.append("\u{1}")
                isEscape = true
            }
            marked.unicodeScalars.append(character)
            if isEscape, character == "m" {
                marked.unicodeScalars.append("\u{2}")
                isEscape = false
            }
        }
        return marked
    }
}
