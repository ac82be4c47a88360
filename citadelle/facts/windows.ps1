$version = Get-ItemProperty -LiteralPath 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
$machine = Get-ItemProperty -LiteralPath 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Environment'
$lxss = 'HKCU:\Software\Microsoft\Windows\CurrentVersion\Lxss'
$distributions = @()
if (Test-Path -LiteralPath $lxss) {
    $distributions = @(Get-ChildItem -LiteralPath $lxss | ForEach-Object { [string]$_.GetValue('DistributionName') } | Where-Object { $_ })
}
$wsl = 'C:\Program Files\WSL\wsl.exe'
$config = $env:USERPROFILE + '\.wslconfig'
$text = ''
if (Test-Path -LiteralPath $config) { $text = [string](Get-Content -LiteralPath $config -Raw) }
[ordered]@{
    build         = [int]$version.CurrentBuild
    revision      = [int]$version.UBR
    edition       = [string]$version.EditionID
    display       = [string]$version.DisplayVersion
    wsl           = [bool](Test-Path -LiteralPath $wsl)
    utf8          = [string]$machine.WSL_UTF8
    profile       = [string]$env:USERPROFILE
    config        = $text
    distributions = $distributions
}
