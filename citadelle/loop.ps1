$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
function Send-Answer($answer) {
    $json = ConvertTo-Json -InputObject $answer -Depth 4 -Compress
    [Console]::Out.WriteLine('@@B64:' + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($json)) + ':B64@@')
    [Console]::Out.Flush()
}
Send-Answer ([ordered]@{ code = 0; out = @([string]$PSVersionTable.PSVersion); error = $null })
foreach ($frame in $input) {
    $lines = New-Object System.Collections.ArrayList
    $failure = $null
    $global:LASTEXITCODE = 0
    try {
        $text = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($frame))
        & ([scriptblock]::Create($text)) | ForEach-Object {
            if ($_ -is [string]) { [void]$lines.Add($_) } else { [void]$lines.Add(($_ | Out-String).TrimEnd()) }
        }
    }
    catch {
        $failure = [ordered]@{
            text   = [string]$_.Exception.Message
            id     = [string]$_.FullyQualifiedErrorId
            result = '0x{0:X8}' -f $_.Exception.HResult
            line   = $_.InvocationInfo.ScriptLineNumber
        }
    }
    $code = [int]$global:LASTEXITCODE
    if ($failure -and $code -eq 0) { $code = 1 }
    Send-Answer ([ordered]@{ code = $code; out = @($lines); error = $failure })
}
