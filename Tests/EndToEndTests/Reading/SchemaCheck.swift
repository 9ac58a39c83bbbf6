import QQCore
import Testing

@testable import QQCLI

/// The differences between an object and its schema.
func schemaProblems(_ object: JSONObject, _ schema: Schema) -> [String] {
    var found: [String] = []
    let fields = Dictionary(uniqueKeysWithValues: schema.fields.map { ($0.key, $0) })
    for member in object.members {
        guard let field = fields[member.name] else {
            found.append("\(schema.name): \(member.name) is not declared")
            continue
        }
        if member.value.isNull {
            if !field.mayBeNull { found.append("\(schema.name): \(member.name) is null") }
        } else if !isKind(member.value, field.kind) {
            found.append("\(schema.name): \(member.name) is not a \(field.kind.rawValue): \(JSONWriter.string(member.value))")
        }
    }
    for field in schema.fields where !field.isOptional && object[field.key] == nil {
        found.append("\(schema.name): \(field.key) is missing")
    }
    return found
}

private func isKind(_ value: JSONValue, _ kind: Schema.Kind) -> Bool {
    switch kind {
    case .text: value.stringValue != nil
    case .flag: value.boolValue != nil
    case .count: value.uint64Value != nil
    case .seconds: value.doubleValue.map { $0 >= 0 } ?? false
    case .time: value.stringValue.flatMap { try? WallTime.parse(rfc3339: $0) } != nil
    case .list: value.arrayValue != nil
    case .object: value.objectValue != nil
    }
}

/// Checks lines of `--json` against their schema.
func checkSchema(_ text: String, _ schema: Schema, lines: Int = 1, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let found = text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(found.last == "", "the output ends with a newline", sourceLocation: sourceLocation)
    #expect(found.count == lines + 1, "\(text)", sourceLocation: sourceLocation)
    for line in found.dropLast() { #expect(schemaProblems(try object(line), schema) == [], "\(line)", sourceLocation: sourceLocation) }
}
