# Before anything is changed: the new configuration of the SSH server must be one that it takes, and made from what is there now.
if ($null -ne $sshd) {
    $bytes = [Text.Encoding]::GetEncoding(28591)
    $file = $env:ProgramData + '\ssh\sshd_config'
    $found = ''
    if (Test-Path -LiteralPath $file) { $found = $bytes.GetString([IO.File]::ReadAllBytes((Get-Item -LiteralPath $file -Force).FullName)) }
    if ($found -cne $sshd_before) { throw "changed by somebody else in the meantime: $file" }
    $candidate = "$folder\candidate"
    New-Item -ItemType File -Path $candidate | Out-Null
    [IO.File]::WriteAllBytes((Get-Item -LiteralPath $candidate -Force).FullName, $bytes.GetBytes($sshd))
    $programs = ($env:SystemRoot + '\System32\OpenSSH\sshd.exe'), ($env:ProgramFiles + '\OpenSSH\sshd.exe')
    $program = @($programs | Where-Object { Test-Path -LiteralPath $_ })[0]
    # Windows PowerShell makes an error of a program's first word on the error stream, unless told to go on.
    $ErrorActionPreference = 'Continue'
    $said = @(& $program -t -f $candidate 2>&1 | ForEach-Object { [string]$_ }) -join ' '
    if ($LASTEXITCODE -ne 0) { throw "sshd -t: $said" }
}
