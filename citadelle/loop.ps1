$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
function Send-Answer($answer) {
    $json = ConvertTo-Json -InputObject $answer -Depth 4 -Compress
    [Console]::Out.WriteLine('@@B64:' + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($json)) + ':B64@@')
    [Console]::Out.Flush()
    # The other stream may arrive later: its end is told as well.
    [Console]::Error.WriteLine('@@END@@')
}
$place = (Get-Location).Path
$variables = [Environment]::GetEnvironmentVariables()
$start = @([string]$PSVersionTable.PSVersion, [string]$PID, [string][Console]::OutputEncoding.CodePage)
Send-Answer ([ordered]@{ code = 0; out = $start; error = $null })
foreach ($frame in $input) {
    if (-not $frame.EndsWith('.')) { break }
    $lines = New-Object System.Collections.ArrayList
    $failure = $null
    $global:LASTEXITCODE = 0
    # Each script begins in the same folder, with the same environment: nothing of the one before.
    Set-Location -LiteralPath $place
    foreach ($name in @([Environment]::GetEnvironmentVariables().Keys)) {
        if (-not $variables.ContainsKey($name)) { [Environment]::SetEnvironmentVariable($name, $null) }
    }
    foreach ($name in $variables.Keys) { [Environment]::SetEnvironmentVariable($name, $variables[$name]) }
    try {
        $text = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($frame.TrimEnd([char]'.')))
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
